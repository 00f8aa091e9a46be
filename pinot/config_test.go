package pinot

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewNamesTheVariable(t *testing.T) {
	t.Parallel()
	one := []string{"localhost:8099"}
	cases := []struct {
		name string
		cfg  Config
		want string
	}{
		{"nothing", Config{}, "PINOT_BROKERS: set it, or PINOT_CONTROLLER"},
		{"blank", Config{Brokers: []string{" "}}, "PINOT_BROKERS: set it"},
		{"both", Config{Brokers: one, Controller: "localhost:9000"}, "PINOT_CONTROLLER: set it or PINOT_BROKERS, not both"},
		{"no port", Config{Brokers: []string{"localhost"}}, "PINOT_BROKERS: broker 1 of 1 has no port"},
		{"the second", Config{Brokers: []string{"a:1", "b:c"}}, "PINOT_BROKERS: broker 2 of 2 is not"},
		{"port 0", Config{Brokers: []string{"a:0"}}, "PINOT_BROKERS: broker 1 of 1 has a port that is not 1 to 65535"},
		{"no host", Config{Brokers: []string{":80"}}, "PINOT_BROKERS: broker 1 of 1 is not"},
		{"scheme", Config{Brokers: []string{"zk://a:1"}}, "PINOT_BROKERS: broker 1 of 1 has another scheme than http and https"},
		{"query", Config{Brokers: []string{"http://a:1/?x=1"}}, "PINOT_BROKERS: broker 1 of 1 has more than"},
		{"path", Config{Brokers: []string{"a:1/x"}}, "PINOT_BROKERS: broker 1 of 1 has more than"},
		{"controller", Config{Controller: "a b"}, "PINOT_CONTROLLER: the address is not"},
		{"table", Config{Brokers: one, Table: `f"; DROP`}, "PINOT_TABLE: "},
		{"columns", Config{Brokers: one, Columns: "x"}, "PINOT_COLUMNS: at position 1"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := New(tc.cfg)
			wrong, ok := errors.AsType[*ConfigError](err)
			require.True(t, ok, "%v", err)
			require.ErrorContains(t, err, tc.want)
			require.True(t, strings.HasPrefix(err.Error(), wrong.Setting+": "))
		})
	}
	_, err := New(Config{Brokers: []string{"http://user:secret@a:b"}})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

func TestNewDefaults(t *testing.T) {
	t.Parallel()
	s := newSource(t, Config{Brokers: []string{"HTTPS://u:p%40@pinot.example/gateway/"}})
	assert.Equal(t, "pinot (table flights)", s.Name())
	assert.Equal(t, 10*time.Second, s.timeout)
	assert.Equal(t, []broker{{url: "https://u:p%40@pinot.example/gateway", name: "pinot.example"}}, s.brokers.known)
	assert.GreaterOrEqual(t, s.transport.MaxIdleConnsPerHost, 64)
}
