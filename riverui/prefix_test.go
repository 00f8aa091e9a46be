package riverui

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func withPrefix(c *Config) { c.Prefix = "/billing" }

func TestPrefix(t *testing.T) {
	t.Parallel()
	b := setup(t, withPrefix)
	b.insert(t, "the one to find")
	require.Contains(t, b.server.URL(), "/billing/")
	b.base = b.base[:len(b.base)-len("/billing")]
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/billing/":                         {200, `"apiUrl":"/billing/api"`},
		"/billing/jobs":                     {200, "<title>River</title>"},
		"/billing/api/jobs?state=available": {200, "the one to find"},
		"/billing/api/states":               {200, `"available":{`},
		"/billing/healthz":                  {200, "ok"},
		"/billing/readyz":                   {200, "ready"},
		"/billing/metrics":                  {200, "flightbill_flights_total"},
		"/healthz":                          {200, "ok"},
		"/readyz":                           {200, "ready"},
		"/metrics":                          {200, "flightbill_flights_total"},
		"/":                                 {404, ""},
		"/api/jobs?state=available":         {404, ""},
		"/billing2/":                        {404, ""},
	} {
		res, body := b.do(t, "GET", path, "")
		require.Equal(t, want.status, res.StatusCode, path)
		require.Contains(t, body, want.text, path)
	}
	for from, to := range map[string]string{"/billing": "/billing/", "/billing//jobs": "/billing/jobs"} {
		res, _ := b.do(t, "GET", from, "")
		require.Equal(t, 3, res.StatusCode/100, from)
		require.Equal(t, to, res.Header.Get("Location"), from)
	}
	_, page := b.do(t, "GET", "/billing/", "")
	files := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1)
	require.NotEmpty(t, files)
	for _, file := range files {
		res, _ := b.do(t, "GET", file[1], "")
		require.Equal(t, http.StatusOK, res.StatusCode, file[1])
		require.NotContains(t, res.Header.Get("Content-Type"), "html", file[1])
	}
}

func TestPrefixKeepsWhatIsClosedClosed(t *testing.T) {
	t.Parallel()
	b := setup(t, withPrefix, withCredentials)
	b.base = b.base[:len(b.base)-len("/billing")]
	for path, status := range map[string]int{
		"/billing/healthz": 200, "/billing/readyz": 200, "/healthz": 200,
		"/billing": 401, "/billing/": 401, "/billing/api/queues": 401, "/billing/metrics": 401, "/metrics": 401, "/": 401, "/billing/healthz/": 401,
	} {
		res, _ := b.do(t, "GET", path, "")
		require.Equal(t, status, res.StatusCode, path)
	}
}

func TestPrefixesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"billing", "//billing", "/billing//", "/a b", "/../x", `/"><script>`, "/billing?x", "https://example.com/billing"} {
		require.ErrorContains(t, Config{Prefix: prefix}.Validate(), "FLIGHTBILL_HTTP_PREFIX: ", prefix)
	}
	for _, prefix := range []string{"", "/", "/billing", "/billing/", "/ops/flight-bill"} {
		require.NoError(t, Config{Prefix: prefix}.Validate(), prefix)
	}
}

// As nginx or Caddy pass requests on: the name that was asked for, and theirs of the
// client, which anybody can send.
func TestBehindAProxy(t *testing.T) {
	t.Parallel()
	b := setup(t, withPrefix, withCredentials)
	target, err := url.Parse(b.base[:len(b.base)-len("/billing")])
	require.NoError(t, err)
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(proxy.Close)
	client := proxy.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ask := func(method, path string, change ...func(*http.Request)) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), method, proxy.URL+path, nil)
		require.NoError(t, err)
		req.Host = "billing.example"
		req.SetBasicAuth("clerk", "tüp:elo")
		for _, c := range change {
			c(req)
		}
		res, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res
	}
	require.Equal(t, http.StatusOK, ask("GET", "/billing/").StatusCode)
	require.Equal(t, "/billing/", ask("GET", "/billing").Header.Get("Location"), "not to http")
	const pause = "/billing/api/queues/none/pause"
	require.Equal(t, http.StatusForbidden, ask("PUT", pause, header("Origin", "https://evil.example")).StatusCode)
	require.Equal(t, http.StatusForbidden, ask("PUT", pause, header("Sec-Fetch-Site", "cross-site"), header("X-Forwarded-Host", "evil.example")).StatusCode)
	require.Equal(t, http.StatusForbidden, ask("PUT", pause, header("Origin", "https://evil.example"), header("X-Forwarded-Host", "evil.example")).StatusCode)
	require.Equal(t, http.StatusNotFound, ask("PUT", pause, header("Origin", "https://billing.example")).StatusCode, "River UI's own")
	require.Equal(t, http.StatusNotFound, ask("PUT", pause, header("Sec-Fetch-Site", "same-origin")).StatusCode)

	open := setup(t)
	res, _ := open.do(t, "GET", "/", "", host("billing.example"), header("X-Forwarded-Host", "localhost"), header("X-Forwarded-For", "127.0.0.1"))
	require.Equal(t, http.StatusForbidden, res.StatusCode)
}

func TestMetricsOpen(t *testing.T) {
	t.Parallel()
	b := setup(t, withCredentials, func(c *Config) { c.MetricsOpen = true })
	res, body := b.do(t, "GET", "/metrics", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, body, "flightbill_flights_total")
	for _, path := range []string{"/", "/api/queues", "/metrics/"} {
		res, _ = b.do(t, "GET", path, "")
		require.Equal(t, http.StatusUnauthorized, res.StatusCode, path)
	}
}

func TestFoldersAreNotListed(t *testing.T) {
	t.Parallel()
	for _, b := range []*testBundle{setup(t), setup(t, withPrefix)} {
		for _, path := range []string{"/assets", "/assets/", "/.vite/"} {
			res, body := b.do(t, "GET", path, "")
			require.Equal(t, http.StatusNotFound, res.StatusCode, "%s: %s", path, body)
			require.NotContains(t, body, "<a href", path)
		}
	}
}
