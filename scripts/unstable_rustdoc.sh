#!/bin/sh
# `rustdoc` with the options of a nightly one, as `RUSTDOC` for cargo. The variable must not reach
# cargo itself: build scripts look at it, and every dependency would be built again.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@"
