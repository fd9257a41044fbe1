"""The sandbox payment gateway: for trials and demonstrations, no real money moves."""
