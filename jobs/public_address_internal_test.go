package jobs

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.32.0.1": true, "100.128.0.1": true, "2a00:1450:4001::1": true, "2606:4700::1111": true,
		"::ffff:8.8.8.8": true, "64:ff9b::8.8.8.8": true, "2002:808:808::1": true,
		"0.0.0.0": false, "10.1.2.3": false, "100.64.0.1": false, "127.0.0.1": false, "127.255.255.254": false, "169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.0.0.8": false, "192.0.2.1": false, "192.88.99.1": false, "192.168.1.1": false, "198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false,
		"240.0.0.1": false, "255.255.255.255": false, "::": false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::ffff:0:127.0.0.1": false,
		"64:ff9b::127.0.0.1": false, "64:ff9b::10.0.0.1": false, "64:ff9b:1::8.8.8.8": false, "2002:7f00:1::1": false, "2002:a00:1::": false, "2001::1": false, "2001:db8::1": false,
		"3fff::1": false, "100::1": false, "fc00::1": false, "fd12:3456::1": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false, "5f00::1": false,
	} {
		require.Equal(t, want, Public(netip.MustParseAddr(address)), address)
	}
	require.NoError(t, refusePrivate("tcp4", "8.8.8.8:443", nil))
	require.ErrorContains(t, refusePrivate("tcp6", "[fe80::1%eth0]:443", nil), "[fe80::1%eth0]:443 is no public address")
	require.Error(t, refusePrivate("tcp", "example.test:443", nil), "what is no address is not reached")
}
