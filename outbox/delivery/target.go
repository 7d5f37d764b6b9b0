package delivery

import (
	"fmt"
	"net/netip"
)

// BlockedTargetError says that an address is none that webhooks may reach.
type BlockedTargetError struct {
	Address netip.Addr
}

func (e *BlockedTargetError) Error() string {
	return fmt.Sprintf("%s is not a public address, and not among the targets that are allowed", e.Address)
}

// notPublic are the networks that are not reached over the public internet, or lead back into our own: from the IANA registries of
// special-purpose addresses, and those that wrap an IPv4 address, which would otherwise be a way around the rest.
var notPublic = prefixes(
	"0.0.0.0/8",       // this host
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // carrier-grade NAT
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local; cloud metadata
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, broadcast
	"64:ff9b::/96",    // NAT64
	"64:ff9b:1::/48",  // NAT64, local
	"2001::/23",       // protocol assignments, Teredo among them
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4
	"3fff::/20",       // documentation
)

// global is all of IPv6 that has been given out for the public internet.
var global = netip.MustParsePrefix("2000::/3")

func prefixes(list ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(list))
	for i, s := range list {
		parsed[i] = netip.MustParsePrefix(s)
	}
	return parsed
}

// checkTarget returns a [*BlockedTargetError] for an address that is neither public nor allowed.
func checkTarget(address netip.Addr, allowed []netip.Prefix) error {
	address = address.Unmap().WithZone("")
	for _, p := range allowed {
		if p.Contains(address) {
			return nil
		}
	}
	for _, p := range notPublic {
		if p.Contains(address) {
			return &BlockedTargetError{address}
		}
	}
	if address.Is6() && !global.Contains(address) {
		return &BlockedTargetError{address}
	}
	return nil
}
