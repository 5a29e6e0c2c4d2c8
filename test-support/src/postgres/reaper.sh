# Rules the processes of one PostgreSQL server, and ends them when the test process has ended,
# however that came: its end of our standard input closes.
#
# $1 is the server's folder. Orders come as lines: `stop`, `go`, `kill`; the answer is a line.

trap '' HUP INT TERM

# Adds to `family` the postmaster and its children (each in a session of its own, so no group to
# signal); `awake` are those that do not stand still.
look() {
  awake=
  { read -r master <"$1/data/postmaster.pid"; } 2>/dev/null || return
  for stat in /proc/[0-9]*/stat; do
    { read -r pid name state parent rest <"$stat"; } 2>/dev/null || continue
    [ "$name" = '(postgres)' ] || continue
    [ "$pid" = "$master" ] || [ "$parent" = "$master" ] || continue
    family="$family $pid"
    case $state in
      T | Z) ;;
      *) awake="$awake $pid" ;;
    esac
  done
}

# Again until all stand still: the postmaster may be forking.
stop() {
  family=
  tries=0
  while look "$1" && [ -n "$awake" ] && [ "$tries" -lt 1000 ]; do
    kill -STOP $awake 2>/dev/null
    tries=$((tries + 1))
    [ "$tries" -eq 1 ] || sleep 0.002
  done
}

go() {
  family=
  look "$1"
  [ -z "$family" ] || kill -CONT $family 2>/dev/null
}

# A crash: nobody can tell anybody. `CONT` because some kernels in containers keep a stopped
# process for a while; waits until only a zombie is left, so that the memory is free again.
end() {
  stop "$1"
  [ -z "$family" ] || kill -KILL $family 2>/dev/null
  [ -z "$family" ] || kill -CONT $family 2>/dev/null
  for pid in $family; do
    tries=0
    while { read -r _ _ state _ <"/proc/$pid/stat"; } 2>/dev/null; do
      [ "$state" != Z ] && [ "$tries" -lt 1000 ] || break
      tries=$((tries + 1))
      sleep 0.002
    done
  done
  # Its process id may soon be another's.
  rm -f "$1/data/postmaster.pid"
}

while read -r order; do
  case $order in
    stop) stop "$1" ;;
    go) go "$1" ;;
    kill) end "$1" ;;
  esac
  echo done
done
end "$1"
rm -rf "$1"
