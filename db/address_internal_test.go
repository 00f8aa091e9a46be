package db

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// secret is in each address, between what is fuzzed.
const secret = "s3cr3t"

// Where a password can be in an address; and where else somebody may put it.
var (
	passwordPlaces = []string{
		"postgres://clerk:%s@127.0.0.1:1/flights", "postgresql://clerk:%s@127.0.0.1:1,127.0.0.2:2/flights?sslmode=disable",
		"postgres://clerk:%s@[::1]:1/flights", "postgres://clerk:%s@/flights?host=/tmp", "postgres://127.0.0.1:1/flights?user=clerk&password=%s",
		"postgres://127.0.0.1:1/flights?password=%s&sslmode=disable", "postgres://clerk@127.0.0.1:1/flights?sslpassword=%s",
		"host=127.0.0.1 port=1 user=clerk password=%s", "password=%s host=127.0.0.1", "host=127.0.0.1 password='%s' dbname=flights", "host=127.0.0.1 password='%s",
		"postgresql+psycopg://clerk:%s@127.0.0.1/flights?sslmode=disable", "jdbc:postgresql://127.0.0.1/flights?user=clerk&password=%s",
		"postgres:/clerk:%s@127.0.0.1/flights?sslmode=disable", "clerk:%s@127.0.0.1/flights", "dbname=postgres://clerk:%s@127.0.0.1/flights",
	}
	otherPlaces = []string{
		"%s", "%s://clerk@127.0.0.1/flights", "postgres://%s@127.0.0.1/flights", "postgres://clerk@%s/flights", "postgres://clerk@127.0.0.1:%s/flights",
		"postgres://clerk@127.0.0.1/%s", "postgres://clerk@127.0.0.1/flights?%s", "postgres://clerk@127.0.0.1/flights?%s=1", "postgres://clerk@127.0.0.1/flights?sslmode=%s",
		"postgres://clerk@127.0.0.1/flights?sslrootcert=/none/%s", "postgres://clerk@127.0.0.1/flights?service=%s", "postgres://clerk@127.0.0.1/flights?connect_timeout=%s",
		"postgres://clerk@127.0.0.1/flights?target_session_attrs=%s", "postgres://clerk@127.0.0.1/flights?channel_binding=%s", "postgres://clerk@127.0.0.1/flights?require_auth=%s",
		"postgres://clerk@127.0.0.1/flights?pool_max_conns=%s", "postgres://clerk@127.0.0.1/flights?default_query_exec_mode=%s", "postgres://clerk@127.0.0.1/flights?passfile=%s",
		"host=%s", "port=%s", "host=127.0.0.1 %s=1",
	}
)

func FuzzAddressHidesThePassword(f *testing.F) {
	for _, around := range [][2]string{
		{"", ""}, {"p@", ""}, {"", "@ss"}, {"p/", ""}, {"12/", ""}, {"5/w?x=", ""}, {"p?", "="}, {"p#", "#"}, {"%zz", ""}, {"%", ""}, {":", ":"}, {"[", ""}, {"]", "["},
		{"'", ""}, {"' ", ""}, {"a ", " b"}, {`\`, `\`}, {"a&", ""}, {"a,", ","}, {"\x00", ""}, {"\n", "\n"}, {"x@h:1,", ""}, {"://", ""}, {"ü", "é"}, {"`", "`: invalid port"},
	} {
		f.Add(around[0], around[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		// What has been written as another setting is one, and is no secret.
		if strings.Contains(before+after, "=") && strings.ContainsAny(before, "& '\t\n\v\f\r") {
			t.Skip()
		}
		for _, place := range passwordPlaces {
			address := fmt.Sprintf(place, before+secret+after)
			config, err := parseAddress(address)
			if err != nil {
				require.ErrorIs(t, err, ErrAddress)
				require.NotContains(t, err.Error(), secret, "%q", address)
				continue
			}
			// What errors of a connection name, pgx's and Postgres' own.
			connect := config.ConnConfig
			named := fmt.Sprint(Address(connect), connect.User)
			for _, other := range connect.Fallbacks {
				named += fmt.Sprint(other.Host)
			}
			for parameter := range connect.RuntimeParams {
				named += parameter
			}
			require.NotContains(t, named, secret, "%q", address)
		}
		for _, place := range otherPlaces {
			if _, err := parseAddress(fmt.Sprintf(place, before+secret+after)); err != nil {
				require.NotContains(t, err.Error(), secret, "%q", place)
			}
		}
	})
}

func TestAddressFaultsAreToldApart(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"postgres://clerk:a b@127.0.0.1/flights":    "a blank in it is not written as %20",
		"postgres://clerk:a%zz@127.0.0.1/flights":   "a % is not followed by two hexadecimal digits",
		"postgres://clerk:a@127.0.0.1:x/flights":    "a port is not a number",
		"postgres://clerk:a@b@127.0.0.1/flights":    "it has more than one @",
		"host=127.0.0.1 password='a":                "a quote is not closed",
		"postgres://clerk@127.0.0.1/?sslmode=wrong": "sslmode",
	} {
		_, err := parseAddress(address)
		require.ErrorContains(t, err, "DATABASE_URL is not a Postgres address: "+want, address)
	}
}
