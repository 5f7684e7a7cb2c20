#!/bin/bash -eu
# Untested. Called by ClusterFuzzLite in its image: builds every target into
# $OUT, with its seed corpus and dictionary beside it.

cd "$SRC/wouldblock"
cargo fuzz build -O
for target in $(cargo fuzz list); do
    cp "fuzz/target/x86_64-unknown-linux-gnu/release/$target" "$OUT/"
    zip -jq "$OUT/${target}_seed_corpus.zip" "fuzz/corpus/$target/"*
    cp "fuzz/dict/$target.dict" "$OUT/"
    printf '[libfuzzer]\nmax_len = 300\n' > "$OUT/$target.options"
done
