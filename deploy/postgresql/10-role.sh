#!/bin/sh
# Makes the product's role and database. The role owns its tables and is no superuser, so that row-level security holds
# for it. Run by the PostgreSQL image when its volume is empty; elsewhere by hand, as a superuser, with
# DUEBRIDGE_DATABASE_PASSWORD set.
set -eu
: "${DUEBRIDGE_DATABASE_PASSWORD:?set it to the password in DUEBRIDGE_DATABASE_URL}"
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv password DUEBRIDGE_DATABASE_PASSWORD
CREATE ROLE duebridge LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE duebridge OWNER duebridge ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE duebridge FROM PUBLIC;
SQL
