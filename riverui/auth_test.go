package riverui

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatNeedsCredentials(t *testing.T) {
	t.Parallel()
	b := setup(t, withCredentials)

	senders := []struct {
		name   string
		change func(*http.Request)
		known  bool
	}{
		{"nobody", func(*http.Request) {}, false},
		{"right", basicAuth("clerk", "tüp:elo"), true},
		{"wrong password", basicAuth("clerk", "tüp:el"), false},
		{"longer password", basicAuth("clerk", "tüp:elo2"), false},
		{"wrong user", basicAuth("clark", "tüp:elo"), false},
		{"both wrong", basicAuth("clark", "x"), false},
		{"empty", basicAuth("", ""), false},
		{"swapped", basicAuth("tüp:elo", "clerk"), false},
		{"another scheme", header("Authorization", "Bearer clerk"), false},
		{"not base64", header("Authorization", "Basic clerk:tüp:elo"), false},
	}
	endpoints := []struct {
		method, path string
		open         bool
	}{
		{method: "GET", path: "/healthz", open: true},
		{method: "HEAD", path: "/healthz", open: true},
		{method: "GET", path: "/readyz", open: true},
		{method: "GET", path: "/"},
		{method: "HEAD", path: "/"},
		{method: "GET", path: "/metrics"},
		{method: "GET", path: "/jobs"},
		{method: "GET", path: "/api/jobs?state=available"},
		{method: "GET", path: "/api/states"},
		{method: "GET", path: "/api/queues"},
		{method: "GET", path: "/favicon.ico"},
		{method: "GET", path: "/healthz/../api/queues"},
		{method: "GET", path: "/healthz/"},
		{method: "OPTIONS", path: "/api/jobs/retry"},
	}
	for _, e := range endpoints {
		for _, s := range senders {
			t.Run(e.method+" "+e.path+" "+s.name, func(t *testing.T) {
				t.Parallel()
				res, body := b.do(t, e.method, e.path, "", s.change)
				// Of the paths that are no plain ones, only that they are closed counts.
				refused := res.StatusCode == http.StatusUnauthorized
				if strings.Contains(e.path, "..") {
					refused = refused || res.StatusCode/100 == 3
					require.True(t, refused, "status %d", res.StatusCode)
					return
				}
				require.Equal(t, !e.open && !s.known, refused, "status %d", res.StatusCode)
				if refused {
					require.Equal(t, `Basic realm="flightbill", charset="UTF-8"`, res.Header.Get("WWW-Authenticate"))
					require.NotContains(t, body, "River")
				}
			})
		}
	}
}

func TestChangesNeedCredentials(t *testing.T) {
	t.Parallel()
	b := setup(t, withCredentials)
	id := b.insert(t, "one")

	res, _ := b.do(t, "POST", "/api/jobs/cancel", ids(id))
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	require.Equal(t, "available", b.state(t, id))

	res, body := b.do(t, "POST", "/api/jobs/cancel", ids(id), basicAuth("clerk", "tüp:elo"))
	require.Equal(t, http.StatusOK, res.StatusCode, body)
	require.Equal(t, "cancelled", b.state(t, id))
}

func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	b := setup(t, withCredentials)
	b.do(t, "GET", "/", "", basicAuth("clerk", "tüp:elo"))
	b.do(t, "GET", "/", "", basicAuth("typed-into-the-wrong-field", "other-secret"))
	require.Contains(t, b.log.String(), "request without the credentials refused")
	require.Contains(t, b.log.String(), "component=HTTP")
	sent := basicAuthHeader("typed-into-the-wrong-field", "other-secret")
	for _, secret := range []string{"elo", "typed-into-the-wrong-field", "other-secret", "clerk", sent} {
		require.NotContains(t, b.log.String(), secret)
	}
}

func basicAuthHeader(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}
