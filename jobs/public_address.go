package jobs

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// notPublic are networks that no webhook is on: private, shared, documentation, multicast and
// reserved ones.
var notPublic = each([]string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "3fff::/20",
}, netip.MustParsePrefix)

var (
	unicast = netip.MustParsePrefix("2000::/3")     // all that IPv6 has given out to the public
	nat64   = netip.MustParsePrefix("64:ff9b::/96") // an IPv4 address at its end
	sixTo4  = netip.MustParsePrefix("2002::/16")    // one after the first two bytes
)

// Public reports whether an address is anybody's on the internet, however it is written.
func Public(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	bytes := address.As16()
	switch {
	case nat64.Contains(address):
		return Public(netip.AddrFrom4([4]byte(bytes[12:])))
	case sixTo4.Contains(address):
		return Public(netip.AddrFrom4([4]byte(bytes[2:6])))
	case address.Is6() && !unicast.Contains(address):
		return false
	}
	return !slices.ContainsFunc(notPublic, func(network netip.Prefix) bool { return network.Contains(address) })
}

// refusePrivate is a dialer's control. It sees the address that is connected to, whatever a
// name was said to lead to before.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil || !Public(parsed.Addr()) {
		return fmt.Errorf("%s is no public address; FLIGHTBILL_WEBHOOK_ALLOW_PRIVATE=true allows it", address)
	}
	return nil
}
