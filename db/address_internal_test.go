package db

import (
	"fmt"
	"regexp"
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

// anotherParameter is one in whose value an @ may stand.
var anotherParameter = regexp.MustCompile(`[?&](user|password|application_name)=`)

func FuzzAddressHidesThePassword(f *testing.F) {
	for _, around := range [][2]string{
		{"", ""}, {"p@", ""}, {"", "@ss"}, {"p/", ""}, {"12/", ""}, {"5/w?x=", ""}, {"5/w?", "="}, {"p@5/w?", "="}, {"5/w?u1.", "=1"}, {"p?", "="}, {"p#", "#"}, {"%zz", ""}, {"%", ""}, {":", ":"}, {"[", ""}, {"]", "["},
		{"'", ""}, {"' ", ""}, {"a ", " b"}, {`\`, `\`}, {"a&", ""}, {"a,", ","}, {"\x00", ""}, {"\n", "\n"}, {"x@h:1,", ""}, {"://", ""}, {"ü", "é"}, {"`", "`: invalid port"},
	} {
		f.Add(around[0], around[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		// What has been written as another setting is one, and is no secret.
		if strings.Contains(before+after, "=") && (strings.ContainsAny(before, "& '\t\n\v\f\r") || strings.Contains(before, "/") && anotherParameter.MatchString(before+after)) {
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

// A provider's users have an @ in their names; parameters of extensions a digit.
func TestParseAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"postgres://127.0.0.1/flights?application_name=flights@billing", "postgres://clerk:x@127.0.0.1/flights?application_name=flights@billing",
		"postgres://127.0.0.1/flights?user=me@server&password=p@ss", "postgres://clerk:p?x@127.0.0.1/flights", "postgres://me%40server:x@127.0.0.1?sslmode=disable",
		"postgres://127.0.0.1/flights?app1.tenant=7", "postgres://127.0.0.1/flights?options=-c%20search_path%3Dx", "host=127.0.0.1 user=me@server password=p@ss",
	} {
		_, err := parseAddress(address)
		require.NoError(t, err, address)
	}
}

// Each objection of pgx's has words of ours.
func TestAddressFaults(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for address, want := range map[string]string{
		"host=x port=abc":                        "a port is not a number",
		"postgres://a:1,b:2,c/flights?port=1,2":  "not as many ports as hosts",
		"password='x":                            "a quote is not closed",
		`password='x\`:                           "a quote is not closed",
		"garbage":                                "not name=value, separated by blanks",
		"host=x garbage":                         "not name=value, separated by blanks",
		"host=x a b=c":                           "not name=value, separated by blanks",
		"=x":                                     "not name=value, separated by blanks",
		"postgres://clerk:a b@127.0.0.1/flights": "a blank in it is not written as %20",
		"postgres://h/%zz":                       "a % is not followed by",
		"postgres://h/%00":                       "a % is not followed by",
		"postgres://h/flights?user=%z":           "a % is not followed by",
		"postgres://[::1/flights":                "a [ is not closed",
		"postgres://[]/flights":                  "a [ is not closed",
		"postgres://[::1]x/flights":              "after ] comes neither",
		"host=x\x00":                             "NUL byte",
		"postgres://h/flights?options=-c%20search_path=x":                        "is written %3D",
		"postgres://h/flights?connect_timeout=1&options=-c%20a=x":                "is written %3D",
		"postgres://h/flights?sslmode":                                           "a parameter is not name=value",
		"postgres://h/flights?service=x&servicefile=/none":                       "its service cannot be read",
		"postgres://h/flights?sslmode=maybe":                                     "sslmode, sslrootcert",
		"postgres://h/flights?sslmode=require&sslrootcert=/none":                 "sslmode, sslrootcert",
		"postgres://h/flights?sslmode=require&sslcert=/none":                     "sslmode, sslrootcert",
		"postgres://h/flights?connect_timeout=-1":                                "connect_timeout is not",
		"postgres://h/flights?target_session_attrs=x":                            "target_session_attrs is not",
		"postgres://h/flights?channel_binding=x":                                 "channel_binding is not",
		"postgres://h/flights?require_auth=x":                                    "require_auth is no list",
		"postgres://h/flights?min_protocol_version=x":                            "min_protocol_version or",
		"postgres://h/flights?max_protocol_version=x":                            "min_protocol_version or",
		"postgres://h/flights?min_protocol_version=3.2&max_protocol_version=3.0": "min_protocol_version or",
		"postgres://h/flights?pool_max_conns=many":                               "a parameter pool_",
		"postgres://h/flights?pool_max_conns=0":                                  "a parameter pool_",
		"postgres://h/flights?pool_min_conns=x":                                  "a parameter pool_",
		"postgres://h/flights?pool_max_conn_lifetime=x":                          "a parameter pool_",
		"postgres://h/flights?statement_cache_capacity=x":                        "statement_cache_capacity or",
		"postgres://h/flights?description_cache_capacity=x":                      "statement_cache_capacity or",
		"postgres://h/flights?default_query_exec_mode=x":                         "default_query_exec_mode is not",
	} {
		_, err := parseAddress(address)
		require.ErrorIs(t, err, ErrAddress, "%q", address)
		require.ErrorContains(t, err, want, "%q", address)
		for _, f := range addressFaults {
			seen[f.ours] = seen[f.ours] || strings.Contains(err.Error(), f.ours)
		}
	}
	for _, f := range addressFaults {
		require.True(t, seen[f.ours], "no address is refused with %q", f.ours)
	}
}
