#!/bin/sh
# node_exporter 1.5.0 (Debian bookworm): a metric in two textfiles with two HELP texts loses the second file's samples, with no sign of it.
#
# Guess: both files' samples are served, or node_textfile_scrape_error is 1.
# Seen:  two files, one metric, HELP texts that differ   the first file's samples alone; node_textfile_scrape_error is 0, the
#                                                        second file counts as read (node_textfile_mtime_seconds), HTTP status 200
#        the same HELP text                              both
#        a file with a time stamp                        the whole file is left out, and node_textfile_scrape_error is 1
# So two programs on a node that write the same metric, two versions of one program say, must agree on its HELP to the letter.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
mkdir deb text
(cd deb && apt-get download -qq prometheus-node-exporter=1.5.0-1+b6 2>apt.log || { cat apt.log >&2; exit 1; })
dpkg-deb -x deb/*.deb root

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

# textfile NAME HELP [TIME]
textfile() {
    printf '# HELP gpu_ok %s\n# TYPE gpu_ok gauge\ngpu_ok{from="%s"} 1%s\n' "$2" "$1" "${3:-}" >"text/$1.prom"
}
# page: what the exporter serves now, from a port that is free
page() {
    python3 - <<'END'
import socket, subprocess, time, urllib.request

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    address = "127.0.0.1:%d" % free.getsockname()[1]
exporter = subprocess.Popen(
    ["root/usr/bin/prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
     "--collector.textfile.directory=text", "--web.listen-address=" + address],
    stderr=subprocess.DEVNULL,
)
try:
    for attempt in range(100):
        try:
            with urllib.request.urlopen(f"http://{address}/metrics") as answer:
                print(answer.status, answer.read().decode())
            break
        except OSError:
            time.sleep(0.1)
finally:
    exporter.terminate()
    exporter.wait()
END
}
# served: the files whose sample is there, the files that count as read, the error, the status
served() {
    page >seen
    echo "$(sed -n 's/^gpu_ok{from="\(.*\)"}.*/\1/p' seen | xargs) |" \
        "$(sed -n 's/^node_textfile_mtime_seconds{file="text.\(.*\).prom"}.*/\1/p' seen | xargs) |" \
        "$(sed -n 's/^node_textfile_scrape_error //p' seen) | $(head -1 seen | cut -d' ' -f1)"
}

textfile a "Whether the GPU is well."
textfile b "Whether the GPU is well."
expect "the same HELP (served | read | error | status)" "a b | a b | 0 | 200" "$(served)"
textfile b "Whether this GPU is well."
expect "another HELP" "a | a b | 0 | 200" "$(served)"
textfile b "Whether the GPU is well." " 1700000000000"
expect "a time stamp" "a | a | 1 | 200" "$(served)"
