#!/usr/bin/env bash
# natlab.sh - a small internet in network namespaces, to test NAT traversal. Needs root, iproute2, nftables; miniupnpd for +upnp.
#   natlab.sh up | hold | down | forget ROUTER | run HOST CMD...   (HOST: d c1 a1 a2 b1 ra rb;  nothing is linked to the real network)
#   hold: up, prints "up", and down again at the end of standard input, also when who holds it was killed
#   forget: the router's miniupnpd begins anew, without its mappings
#   d: directory/relay, PUB.10-.15    c1: public peer, PUB.30    ra: PUB.21, LAN A, hosts a1 a2    rb: PUB.22, LAN B, host b1
# env: NATA NATB = full|addr|port|sym|noudp, suffix +upnp (miniupnpd: UPnP and NAT-PMP) +igd1 (the same, UPnP version 1)
#      +natpmp (the same, without UPnP) +open (refuses inbound with RST/ICMP) +nofw (no filter)
#      PUB=203.0.113 (to map ports, miniupnpd and lonja need a prefix that is public)  LANA=192.168.1 LANB=192.168.2
#      DELAY=ms one way, LOSS=percent, RATE=Mbit/s, on each router's WAN link (netem if the kernel has it, else $WANEM)
#      TAG=nl names the lab: labs with different ones know nothing of each other and may have the same addresses
set -Eeuo pipefail
NATA=${NATA:-port} NATB=${NATB:-port} PUB=${PUB:-203.0.113} LANA=${LANA:-192.168.1} LANB=${LANB:-192.168.2}
DELAY=${DELAY:-0} LOSS=${LOSS:-0} RATE=${RATE:-0} WANEM=${WANEM:-wanem} TAG=${TAG:-nl} RUN=/run/natlab-${TAG:-nl}
HOSTS="pub d c1 ra rb a1 a2 b1"
in_ns() { local h=$1; shift; ip netns exec "$TAG-$h" "$@"; }
wire() { # wire HOST IF ADDR/LEN SWITCH: plug HOST into the switch (a bridge in namespace SWITCH)
  local peer="p-$1$2"
  ip link add "$2" netns "$TAG-$1" type veth peer name "$peer" netns "$TAG-$4"
  in_ns "$4" ip link set "$peer" master br0 up
  in_ns "$1" ip addr add "$3" brd + dev "$2"; in_ns "$1" ip link set "$2" up
}
switch() { in_ns "$1" ip link add br0 type bridge forward_delay 0; in_ns "$1" ip link set br0 up; }
shape() { # shape ROUTER: delay/loss/rate on its WAN link, both directions
  [ "$DELAY$LOSS$RATE" = 000 ] && return
  if in_ns "$1" tc qdisc add dev wan root netem delay "${DELAY}ms" loss "$LOSS%" ${RATE:+rate "${RATE}mbit"} 2>/dev/null; then
    in_ns pub tc qdisc add dev "p-$1wan" root netem delay "${DELAY}ms" loss "$LOSS%" ${RATE:+rate "${RATE}mbit"}; return; fi
  command -v "$WANEM" >/dev/null || { echo "no netem in this kernel and no $WANEM" >&2; exit 1; }
  local addr; addr=$(in_ns "$1" ip -4 -o addr show dev wan | awk '{print $4}')
  in_ns "$1" ip link del wan                              # replace the veth by a pair of TAPs with a delay line between
  in_ns pub "$WANEM" -a "x-$1" -b "y-$1" -delay "${DELAY}ms" -loss "$LOSS" -rate "$RATE" >>"$RUN/wanem-$1.log" 2>&1 &
  echo $! >>"$RUN/pids"
  for _ in $(seq 50); do in_ns pub ip link show "y-$1" >/dev/null 2>&1 && break; sleep 0.05; done
  in_ns pub ip link set "x-$1" master br0 up
  in_ns pub ip link set "y-$1" netns "$TAG-$1"; in_ns "$1" ip link set "y-$1" name wan
  in_ns "$1" ip addr add "$addr" brd + dev wan; in_ns "$1" ip link set wan up
}
nat() { # nat ROUTER KIND LANPREFIX
  local r=$1 kind=${2%%+*} opt=${2#*+} post="" pre="" refuse=drop
  in_ns "$r" sysctl -qw net.ipv4.ip_forward=1
  [ "$opt" = open ] && refuse=reject; [ "$opt" = nofw ] && refuse=accept
  case $kind in
    port|noudp) post='oifname wan masquerade' ;;                     # endpoint-independent mapping, address+port filter
    sym)        post='oifname wan masquerade fully-random' ;;        # a new random port for every destination
    full)       pre='iifname wan dnat ip to meta l4proto . th dport map @fc'    # anyone may use a mapping once made
                post='oifname wan meta l4proto { tcp, udp } update @fc { meta l4proto . th sport : ip saddr . th sport }; oifname wan masquerade' ;;
    addr)       pre='iifname wan meta l4proto . ip saddr . th dport @seen dnat ip to meta l4proto . th dport map @fc'
                post='oifname wan meta l4proto { tcp, udp } update @fc { meta l4proto . th sport : ip saddr . th sport } update @seen { meta l4proto . ip daddr . th sport }; oifname wan masquerade' ;;
    *) echo "unknown NAT kind $kind" >&2; exit 2 ;;
  esac
  in_ns "$r" nft -f - <<NFT
table ip nat {
  map fc { type inet_proto . inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; size 65535; }
  set seen { type inet_proto . ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; size 65535; }
  chain pre { type nat hook prerouting priority dstnat; $pre
  }
  chain post { type nat hook postrouting priority srcnat; $post
  }
}
table inet fw {
  chain input { type filter hook input priority filter; ct state established,related accept; iifname wan $refuse; }
  chain forward { type filter hook forward priority filter; policy drop; $([ "$kind" = noudp ] && echo 'meta l4proto udp drop;')
    iifname lan accept; ct state established,related accept; ct status dnat accept; }
}
NFT
  local upnp=yes
  : >"$RUN/upnp-$r.options"
  case $opt in
    upnp) ;;
    igd1) echo -1 >"$RUN/upnp-$r.options" ;;
    natpmp) upnp=no ;;
    *) return 0 ;;
  esac
  in_ns "$r" nft -f - <<'NFT'
table inet upnp {
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain forwarded { type filter hook forward priority -10; jump miniupnpd; }
  chain inbound { type nat hook prerouting priority -110; jump prerouting_miniupnpd; }
  chain outbound { type nat hook postrouting priority 90; jump postrouting_miniupnpd; }
}
NFT
  printf '%s\n' ext_ifname=wan listening_ip=lan http_port=5000 enable_natpmp=yes "enable_upnp=$upnp" secure_mode=yes ipv6_disable=yes min_lifetime=20 \
    upnp_table_name=upnp upnp_nat_table_name=upnp "uuid=00000000-0000-0000-0000-0000000000$r" "allow 1024-65535 $3.0/24 1024-65535" \
    "deny 0-65535 0.0.0.0/0 0-65535" | sed 's/00ra$/00aa/; s/00rb$/00bb/' >"$RUN/upnp-$r.conf"
  daemon "$r"
}
daemon() { # daemon ROUTER: start miniupnpd, and wait until it listens
  local r=$1 log="$RUN/upnp-$1.log"
  # shellcheck disable=SC2046 # no option or one
  in_ns "$r" miniupnpd -d $(cat "$RUN/upnp-$r.options") -f "$RUN/upnp-$r.conf" -P "$RUN/upnp-$r.pid" >"$log" 2>&1 &
  echo $! >>"$RUN/pids"
  for _ in $(seq 200); do grep -q 'Listening for NAT-PMP' "$log" && return; sleep 0.05; done
  cat "$log" >&2; return 1
}
forget() { # forget ROUTER: as if it had been switched off and on
  local r=$1 pid chain; pid=$(cat "$RUN/upnp-$1.pid")
  kill -9 "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
  rm -f "$RUN/upnp-$r.pid"
  for chain in miniupnpd prerouting_miniupnpd postrouting_miniupnpd; do in_ns "$r" nft flush chain inet upnp $chain; done
  daemon "$r"
}
up() {
  mkdir -p "$RUN"; : >"$RUN/pids"
  for h in $HOSTS la lb; do ip netns add "$TAG-$h"; in_ns "$h" ip link set lo up; done
  switch pub; switch la; switch lb
  wire d eth0 "$PUB.10/24" pub; for i in 11 12 13 14 15; do in_ns d ip addr add "$PUB.$i/24" dev eth0; done
  wire c1 eth0 "$PUB.30/24" pub
  wire ra wan "$PUB.21/24" pub; wire ra lan "$LANA.1/24" la; wire a1 eth0 "$LANA.11/24" la; wire a2 eth0 "$LANA.12/24" la
  wire rb wan "$PUB.22/24" pub; wire rb lan "$LANB.1/24" lb; wire b1 eth0 "$LANB.11/24" lb
  shape ra; shape rb
  in_ns a1 ip route add default via "$LANA.1"; in_ns a2 ip route add default via "$LANA.1"; in_ns b1 ip route add default via "$LANB.1"
  nat ra "$NATA" "$LANA"; nat rb "$NATB" "$LANB"
}
down() {
  for p in $(cat "$RUN/pids" 2>/dev/null); do kill "$p" 2>/dev/null || true; done
  for h in $HOSTS la lb; do
    for p in $(ip netns pids "$TAG-$h" 2>/dev/null); do kill -9 "$p" 2>/dev/null || true; done
    ip netns del "$TAG-$h" 2>/dev/null || true
  done; rm -rf "$RUN"
}
case ${1:-} in
  up) trap 'down' ERR; up ;;
  down) down ;;
  forget) forget "$2" ;;
  run) shift; h=$1; shift; exec ip netns exec "$TAG-$h" "$@" ;;
  hold) trap 'down' EXIT; trap 'exit 1' ERR INT TERM; up </dev/null; echo up; cat >/dev/null ;;
  *) sed -n 2,13p "$0"; exit 2 ;;
esac
