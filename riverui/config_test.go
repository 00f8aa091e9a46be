package riverui

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	const (
		open      = "is not loopback"
		malformed = "is not host:port, such as 127.0.0.1:8080"
	)
	cases := []struct{ name, addr, user, password, want string }{
		{name: "default"},
		{name: "loopback", addr: "127.0.0.1:8080"},
		{name: "all of 127/8", addr: "127.9.9.9:8080"},
		{name: "free port", addr: "127.0.0.1:0"},
		{name: "IPv6 loopback", addr: "[::1]:8080"},
		{name: "mapped loopback", addr: "[::ffff:127.0.0.1]:8080"},
		{name: "localhost", addr: "localhost:8080"},
		{name: "LOCALHOST", addr: "LOCALHOST:8080"},

		{name: "all interfaces", addr: ":8080", want: open},
		{name: "all IPv4", addr: "0.0.0.0:8080", want: open},
		{name: "all IPv6", addr: "[::]:8080", want: open},
		{name: "mapped all", addr: "[::ffff:0.0.0.0]:8080", want: open},
		{name: "another", addr: "192.0.2.1:8080", want: open},
		{name: "link local", addr: "[fe80::1%eth0]:8080", want: open},
		{name: "with credentials", addr: "0.0.0.0:8080", user: "clerk", password: "secret"},

		{name: "no port", addr: "127.0.0.1", want: malformed},
		{name: "port only", addr: "8080", want: malformed},
		{name: "port name", addr: "127.0.0.1:http", want: malformed},
		{name: "port too large", addr: "127.0.0.1:65536", want: malformed},
		{name: "empty port", addr: "127.0.0.1:", want: malformed},
		{name: "URL", addr: "http://127.0.0.1:8080", want: malformed},
		{name: "malformed with credentials", addr: "8080", user: "clerk", password: "secret", want: malformed},

		{name: "no password", user: "clerk", want: "FLIGHTBILL_HTTP_PASSWORD: is missing, with FLIGHTBILL_HTTP_USER set"},
		{name: "no user", password: "secret", want: "FLIGHTBILL_HTTP_USER: is missing, with FLIGHTBILL_HTTP_PASSWORD set"},
		{name: "colon", user: "a:b", password: "secret", want: "FLIGHTBILL_HTTP_USER: contains a colon"},
		{name: "control", user: "a\tb", password: "secret", want: "FLIGHTBILL_HTTP_USER: contains a line break"},
		{name: "line break", user: "clerk", password: "secret\n", want: "FLIGHTBILL_HTTP_PASSWORD: contains a line break"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := Config{Addr: tc.addr, User: tc.user, Password: tc.password}.Validate()
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "secret")
			switch tc.want {
			case open:
				for _, setting := range []string{"FLIGHTBILL_HTTP_ADDR", "FLIGHTBILL_HTTP_USER", "FLIGHTBILL_HTTP_PASSWORD"} {
					require.ErrorContains(t, err, setting)
				}
			case malformed:
				require.ErrorContains(t, err, "FLIGHTBILL_HTTP_ADDR")
			}
		})
	}
}

func TestValidateReportsAllThatIsWrong(t *testing.T) {
	t.Parallel()
	err := Config{Addr: "8080", User: "clerk"}.Validate()
	require.ErrorContains(t, err, "FLIGHTBILL_HTTP_ADDR")
	require.ErrorContains(t, err, "FLIGHTBILL_HTTP_PASSWORD")
}

func TestNameIsLoopbackWhenAllItsAddressesAre(t *testing.T) {
	t.Parallel()
	v4, v6 := netip.MustParseAddr("127.0.1.1"), netip.MustParseAddr("::1")
	cases := map[string]struct {
		addrs []netip.Addr
		err   error
		want  bool
	}{
		"one":     {addrs: []netip.Addr{v4}, want: true},
		"both":    {addrs: []netip.Addr{v4, v6}, want: true},
		"mixed":   {addrs: []netip.Addr{v4, netip.MustParseAddr("192.0.2.1")}},
		"public":  {addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
		"nothing": {},
		"unknown": {err: errors.New("no such host")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := isLoopback(t.Context(), "billing", func(_ context.Context, network, host string) ([]netip.Addr, error) {
				require.Equal(t, "ip", network)
				require.Equal(t, "billing", host)
				return tc.addrs, tc.err
			})
			require.Equal(t, tc.want, got)
		})
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	complete := (&testBundle{log: &syncWriter{}}).config(t)
	for name, change := range map[string]func(*Config){
		"Config.Client":        func(c *Config) { c.Client = nil },
		"Config.Metrics":       func(c *Config) { c.Metrics = nil },
		"Config.Ready":         func(c *Config) { c.Ready = nil },
		"FLIGHTBILL_HTTP_ADDR": func(c *Config) { c.Addr = ":8080" },
	} {
		config := complete
		change(&config)
		_, err := New(config)
		require.ErrorContains(t, err, name)
	}
	complete.Logger = nil
	_, err := New(complete)
	require.NoError(t, err)
}
