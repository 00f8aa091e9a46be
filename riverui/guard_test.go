package riverui

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
)

func ids(id int64) string { return fmt.Sprintf(`{"ids":["%d"]}`, id) }

func (b *testBundle) state(t *testing.T, id int64) string {
	t.Helper()
	job, err := b.client.JobGet(t.Context(), id)
	require.NoError(t, err)
	return string(job.State)
}

func TestRetryFromAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	type headers = map[string]string
	cases := []struct {
		name    string
		headers headers
		allowed bool
	}{
		{"other site", headers{"Sec-Fetch-Site": "cross-site"}, false},
		{"other port", headers{"Sec-Fetch-Site": "same-site"}, false},
		{"old browser, other site", headers{"Origin": "http://evil.example"}, false},
		{"old browser, other port", headers{"Origin": "http://127.0.0.1:1"}, false},
		{"file", headers{"Origin": "null"}, false},
		{"same origin", headers{"Sec-Fetch-Site": "same-origin"}, true},
		{"old browser, same origin", headers{"Origin": b.base}, true},
		{"no browser", nil, true},
	}
	for _, tc := range cases {
		for _, contentType := range []string{"text/plain", "application/json"} {
			t.Run(tc.name+" "+contentType, func(t *testing.T) {
				t.Parallel()
				id := b.insert(t, tc.name)
				_, err := b.client.JobCancel(t.Context(), id)
				require.NoError(t, err)

				res, body := b.do(t, "POST", "/api/jobs/retry", ids(id), func(r *http.Request) {
					r.Header.Set("Content-Type", contentType)
					for name, value := range tc.headers {
						r.Header.Set(name, value)
					}
				})
				if tc.allowed {
					require.Equal(t, http.StatusOK, res.StatusCode, body)
					require.Equal(t, string(rivertype.JobStateAvailable), b.state(t, id))
				} else {
					require.Equal(t, http.StatusForbidden, res.StatusCode, body)
					require.Equal(t, string(rivertype.JobStateCancelled), b.state(t, id))
				}
			})
		}
	}
}

func TestOtherMethodsFromAnotherSiteAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, request := range [][2]string{
		{"PUT", "/api/queues/flights/pause"},
		{"PUT", "/api/queues/flights/resume"},
		{"PATCH", "/api/queues/flights"},
		{"POST", "/api/jobs/delete"},
		{"POST", "/api/jobs/cancel"},
	} {
		res, body := b.do(t, request[0], request[1], "{}", header("Sec-Fetch-Site", "cross-site"))
		require.Equal(t, http.StatusForbidden, res.StatusCode, "%s: %s", request, body)
	}
}

func TestWithoutCredentialsOnlyThisMachinesNamesAreAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, status := range map[string]int{
		"127.0.0.1":              http.StatusOK,
		"127.0.0.1:8080":         http.StatusOK,
		"localhost":              http.StatusOK,
		"LocalHost:9000":         http.StatusOK, // a forwarded port
		"localhost.:80":          http.StatusOK,
		"[::1]":                  http.StatusOK,
		"[::1]:8080":             http.StatusOK,
		"evil.example":           http.StatusForbidden,
		"evil.example:8080":      http.StatusForbidden,
		"localhost.evil.example": http.StatusForbidden,
		"127.0.0.1.evil.example": http.StatusForbidden,
		"192.0.2.1":              http.StatusForbidden,
		"0.0.0.0:8080":           http.StatusForbidden,
	} {
		for _, path := range []string{"/", "/api/queues", "/metrics", "/readyz"} {
			res, body := b.do(t, "GET", path, "", host(name))
			require.Equal(t, status, res.StatusCode, "%s %s: %s", name, path, body)
			if status == http.StatusForbidden {
				require.Contains(t, body, "FLIGHTBILL_HTTP_USER")
			}
		}
	}
}

func TestTheConfiguredNameIsAnswered(t *testing.T) {
	t.Parallel()
	handler := thisMachineOnly("billing", http.HandlerFunc(healthz), discard)
	for name, status := range map[string]int{"Billing:8080": 200, "billing2:8080": 403, "": 403} {
		require.Equal(t, status, serve(t, handler, "/", host(name)).Code, name)
	}
}

func TestWithCredentialsAnyNameIsAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t, withCredentials)
	res, _ := b.do(t, "GET", "/", "", host("billing.example"), basicAuth("clerk", "tüp:elo"))
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func TestHeadersAreOnEveryAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t, withCredentials)
	for _, path := range []string{"/healthz", "/", "/nothing"} {
		res, _ := b.do(t, "GET", path, "")
		require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "DENY", res.Header.Get("X-Frame-Options"), path)
		require.Equal(t, "same-origin", res.Header.Get("Referrer-Policy"), path)
		require.Equal(t, "same-origin", res.Header.Get("Cross-Origin-Resource-Policy"), path)
		require.Contains(t, res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
	}
}

func TestTooLargeABodyIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := `{"ids":["1"],"padding":"` + strings.Repeat("x", maxBody) + `"}`
	res, _ := b.do(t, "POST", "/api/jobs/retry", body)
	require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
}
