#!/bin/sh
# Opens pages in headless Chromium and counts what a report must not have: console messages, dialogs, network requests.
#
#   tests/browser.sh reports/sample/index.html …
#
# Console messages come from Chromium's own log, requests from its network log; a page that opens a dialog never ends
# loading and is stopped. Exits with 1 if any page has any.
set -eu
failed=0
for page in "$@"; do
    folder=$(mktemp -d)
    address="file://$(realpath "$page")"
    ended=yes
    timeout -k 5 60 chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --disable-default-apps --enable-logging=stderr --v=0 \
        --log-net-log="$folder/net.json" --net-log-capture-mode=Everything --user-data-dir="$folder/profile" \
        --virtual-time-budget=5000 --dump-dom "$address" >"$folder/dom.html" 2>"$folder/log.txt" || ended=no
    console=$(grep -c ':CONSOLE' "$folder/log.txt" || true)
    # Requests of the page itself: every address in the log but the page's own and those of the browser's services.
    requests=$(grep -o '"url":"[^"]*"' "$folder/net.json" | grep -v -F "\"url\":\"$address\"" \
        | grep -v -E '"url":"(chrome|data|about):' | grep -v -E 'google|gstatic' | sort -u | wc -l)
    echo "$page: loaded: $ended, $console console messages, $requests requests, $(wc -c <"$folder/dom.html") bytes of DOM"
    if [ "$ended" = no ] || [ "$console" -ne 0 ] || [ "$requests" -ne 0 ]; then
        grep ':CONSOLE' "$folder/log.txt" || true
        failed=1
    fi
    rm -rf "$folder"
done
exit $failed
