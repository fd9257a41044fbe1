#!/bin/sh
# Programs some tests need that pip cannot bring: a browser and nginx. What is missing is installed from the system's
# packages where this may be done without asking anybody (as root, or by sudo without a password). Whatever is missing in
# the end is named here, and by the tests that are skipped for it: this never fails.

root=
refreshed=no
CHROMIUM="chromium fonts-noto-core fonts-noto-cjk"
NGINX="nginx-light"

browser() {
  if [ -n "$DUEBRIDGE_CHROMIUM" ]; then echo "$DUEBRIDGE_CHROMIUM"; return 0; fi
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name"; then return 0; fi
  done
  return 1
}

proxy() {
  PATH="$PATH:/usr/sbin" command -v nginx
}

may_install() {
  command -v apt-get >/dev/null 2>&1 || return 1
  if [ "$(id -u)" = 0 ]; then return 0; fi
  root="sudo -n"
  command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null
}

# install WHAT-FOR PACKAGE...
install() {
  echo "Installing $1 from the system's packages (up to a minute)"
  shift
  log=$(mktemp)
  if [ $refreshed = no ]; then
    $root apt-get update -q >"$log" 2>&1 </dev/null
    refreshed=yes
  fi
  $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >>"$log" 2>&1 </dev/null
  installed=$?
  if [ $installed != 0 ]; then tail -5 "$log"; fi
  rm -f "$log"
  return $installed
}

# The package would start a web server on port 80 and at every boot, which nobody here has asked for.
install_nginx() {
  rules=/usr/sbin/policy-rc.d
  ours=no
  if [ ! -e $rules ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | $root tee $rules >/dev/null && $root chmod 755 $rules
  fi
  # shellcheck disable=SC2086
  install "nginx for the tests of the deployment" $NGINX
  outcome=$?
  if [ $ours = yes ]; then $root rm -f $rules; fi
  if [ $outcome = 0 ] && [ -d /run/systemd/system ]; then $root systemctl disable -q nginx 2>/dev/null; fi
  return $outcome
}

if ! browser >/dev/null && may_install; then
  # shellcheck disable=SC2086
  install "Chromium and fonts for the browser tests" $CHROMIUM
fi
if ! proxy >/dev/null && may_install; then
  install_nginx
fi

if found=$(browser); then
  echo "Browser tests use $found"
else
  echo "No Chromium here: browser tests will be skipped and named. Install the packages $CHROMIUM, or set DUEBRIDGE_CHROMIUM to a browser."
fi
if found=$(proxy); then
  echo "Tests of the deployment use $found"
else
  echo "No nginx here: the tests of the deployment behind it will be skipped and named. Install the package $NGINX."
fi
exit 0
