#!/bin/sh
# What deploy/*.timer do on a machine with systemd: purge every ten minutes, count every hour, give back what
# a crash left every three. A run that fails is tried again at its next time.
trap 'kill $!; exit 0' TERM INT  # whatever it does, a crash would do it no harm

run() {
    python manage.py "$@" &
    wait $! || echo "failed: manage.py $*" >&2
}

round=0
while :; do
    run purge_expired
    [ $((round % 6)) -ne 0 ] || run roll_up
    [ $((round % 18)) -ne 1 ] || run reconcile_files
    round=$((round + 1))
    sleep "${1:-600}" &
    wait $!
done
