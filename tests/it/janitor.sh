# Started beside a test run with the write end of a pipe on its standard input, which closes when the run ends, however
# that happens. The servers of the run end by themselves then; this waits for them and deletes the folder of the run.
# Usage: sh janitor.sh FOLDER

read -r _
waited=0
while ls "$1"/*/data/postmaster.pid >/dev/null 2>&1 && [ "$waited" -lt 200 ]; do
    sleep 0.05
    waited=$((waited + 1))
done
for note in "$1"/*/socket; do
    [ -f "$note" ] && rm -rf "$(cat "$note")"
done
rm -rf "$1"
