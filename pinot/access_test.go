package pinot

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

func TestRefusedCredentialsAreAConfigurationError(t *testing.T) {
	t.Parallel()
	denied := `{"exceptions":[{"errorCode":180,"message":"Permission denied"}],"numServersQueried":0,"numServersResponded":0}`
	for _, tc := range []struct {
		status     int
		body, want string
	}{
		{http.StatusUnauthorized, "", "PINOT_TOKEN: broker %s answers with HTTP status 401 Unauthorized: there are no credentials"},
		{http.StatusForbidden, "<html>", "PINOT_TOKEN: broker %s answers with HTTP status 403 Forbidden: these credentials may not read the table"},
		{http.StatusForbidden, denied, "PINOT_TOKEN: the credentials may not read table flights: exception 180"},
		{http.StatusOK, denied, "PINOT_TOKEN: the credentials may not read table flights: exception 180"},
		{http.StatusNotFound, "", "PINOT_BROKERS: broker %s answers with HTTP status 404 Not Found: nothing of Pinot's"},
		{http.StatusFound, "", "PINOT_BROKERS: broker %s answers with HTTP status 302 Found: it sends us elsewhere"},
	} {
		b := newBroker(t, always(tc.status, tc.body))
		s := newSource(t, Config{Brokers: []string{b.URL}})
		want := strings.ReplaceAll(tc.want, "%s", strings.TrimPrefix(b.URL, "http://"))

		_, err := s.Flights(t.Context(), []string{"F1"})
		for _, err := range []error{err, s.Probe(t.Context())} {
			failure, ok := errors.AsType[*billing.Error](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, billing.Outage, failure.Kind)
			require.Equal(t, billing.CauseConfiguration, failure.Cause)
			require.ErrorContains(t, err, want)
		}
		wrong, ok := errors.AsType[*ConfigError](s.Check(t.Context()))
		require.True(t, ok)
		require.ErrorContains(t, wrong, want)
	}
}

// One broker that refuses us beside one that is away: nobody knows yet.
func TestOneOfTwoBrokersRefusesUs(t *testing.T) {
	t.Parallel()
	b := newBroker(t, always(http.StatusUnauthorized, ""))
	s := newSource(t, Config{Brokers: []string{b.URL, closedAddress(t)}})
	failure, ok := errors.AsType[*billing.Error](s.Probe(t.Context()))
	require.True(t, ok)
	require.Equal(t, billing.CauseUnreachable, failure.Cause)
	require.ErrorContains(t, failure, "PINOT_TOKEN")
	failure, ok = errors.AsType[*billing.Error](s.Check(t.Context()))
	require.True(t, ok, "which is no reason not to start")
	require.Equal(t, billing.CauseUnreachable, failure.Cause)
}

// Credentials that are put right are used without a restart, from a file.
func TestTokenFileIsReadAnew(t *testing.T) {
	t.Parallel()
	var want atomic.Pointer[string]
	good := rowsBody(nil)
	b := newBroker(t, func(r *http.Request, _ string) (int, string) {
		if r.Header.Get("Authorization") != *want.Load() {
			return http.StatusUnauthorized, ""
		}
		return http.StatusOK, good
	})
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	for text, sent := range map[string]string{
		"s3cret\n": "Bearer s3cret", "Bearer s3cret": "Bearer s3cret", "Basic YTpi\r\n": "Basic YTpi",
	} {
		text = strings.NewReplacer(`\n`, "\n", `\r`, "\r").Replace(text)
		write("old")
		want.Store(&sent)
		var log strings.Builder
		s := newSource(t, Config{Brokers: []string{b.URL, b.URL + "/"}, TokenFile: file, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		_, err := s.Flight(t.Context(), "F1")
		require.ErrorContains(t, err, "PINOT_TOKEN: ")
		write(text)
		require.NoError(t, s.Probe(t.Context()))
		_, err = s.Flight(t.Context(), "F1")
		require.NoError(t, err)
		require.NotContains(t, log.String(), "s3cret")

		require.NoError(t, os.Remove(file))
		_, err = s.Flight(t.Context(), "F1")
		failure, ok := errors.AsType[*billing.Error](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, billing.CauseConfiguration, failure.Cause)
		require.ErrorContains(t, err, "PINOT_TOKEN_FILE: it cannot be read")
	}
}

func TestHeadersAndDatabaseAreSent(t *testing.T) {
	t.Parallel()
	var got atomic.Pointer[http.Header]
	good := rowsBody(nil)
	b := newBroker(t, func(r *http.Request, _ string) (int, string) {
		got.Store(&r.Header)
		return http.StatusOK, good
	})
	s := newSource(t, Config{
		Brokers: []string{strings.Replace(b.URL, "http://", "http://user:in-the-url@", 1)},
		Headers: `X-Tenant=blue, "X-List=a, b=c"`, Token: "abc", Database: "fees",
	})
	_, err := s.Flight(t.Context(), "F1")
	require.NoError(t, err)
	h := *got.Load()
	require.Equal(t, "blue", h.Get("X-Tenant"))
	require.Equal(t, "a, b=c", h.Get("X-List"))
	require.Equal(t, "fees", h.Get("Database"))
	require.Equal(t, "Bearer abc", h.Get("Authorization"), "the token is the more explicit one")
}

func TestAccessSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	nothing := filepath.Join(t.TempDir(), "none")
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	large := filepath.Join(t.TempDir(), "large")
	require.NoError(t, os.WriteFile(large, []byte(strings.Repeat("s3cret", maxToken)), 0o600))
	for name, tc := range map[string]struct {
		cfg     Config
		setting string
	}{
		"no pair":               {Config{Headers: "s3cret"}, "PINOT_HEADERS"},
		"no name":               {Config{Headers: "=s3cret"}, "PINOT_HEADERS"},
		"a name with a colon":   {Config{Headers: "X: a=s3cret"}, "PINOT_HEADERS"},
		"no value":              {Config{Headers: "X-A="}, "PINOT_HEADERS"},
		"a token alone":         {Config{Headers: "s3cret="}, "PINOT_HEADERS"},
		"twice":                 {Config{Headers: "X-A=s3cret,x-a=b"}, "PINOT_HEADERS"},
		"our own":               {Config{Headers: "host=s3cret"}, "PINOT_HEADERS"},
		"an open quote":         {Config{Headers: `"X-A=s3cret`}, "PINOT_HEADERS"},
		"two lines":             {Config{Headers: "X-A=s3cret\nX-B=c"}, "PINOT_HEADERS"},
		"beside a token":        {Config{Headers: "authorization=s3cret", Token: "s3cret"}, "PINOT_HEADERS"},
		"two databases":         {Config{Headers: "database=a", Database: "b"}, "PINOT_HEADERS"},
		"a token and a file":    {Config{Token: "s3cret", TokenFile: empty}, "PINOT_TOKEN_FILE"},
		"a token of two lines":  {Config{Token: "s3cret\nX-B: c"}, "PINOT_TOKEN"},
		"no token file":         {Config{TokenFile: nothing}, "PINOT_TOKEN_FILE"},
		"a large token file":    {Config{TokenFile: large}, "PINOT_TOKEN_FILE"},
		"an empty token file":   {Config{TokenFile: empty}, "PINOT_TOKEN_FILE"},
		"a database with a lot": {Config{Database: "a b"}, "PINOT_DATABASE"},
		"no CA file":            {Config{CAFile: nothing}, "PINOT_CA_FILE"},
		"no CA in the file":     {Config{CAFile: empty}, "PINOT_CA_FILE"},
		"a key alone":           {Config{ClientKeyFile: empty}, "PINOT_CLIENT_CERT_FILE"},
		"no pair of files":      {Config{ClientKeyFile: empty, ClientCertFile: empty}, "PINOT_CLIENT_CERT_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.cfg.Brokers = []string{"localhost:8099"}
			_, err := New(tc.cfg)
			wrong, ok := errors.AsType[*ConfigError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, tc.setting, wrong.Setting)
			require.NotContains(t, err.Error(), "s3cret")
		})
	}
}

// tlsBroker is a broker with a certificate of its own, and the file of its authority.
func tlsBroker(t *testing.T, want tls.ClientAuthType, answer http.HandlerFunc) (server *httptest.Server, caFile string) {
	t.Helper()
	server = httptest.NewUnstartedServer(answer)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{ClientAuth: want, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	return server, caFile
}

// keyPair writes the server's own certificate and key: any serve as a client's here.
func keyPair(t *testing.T, server *httptest.Server) (certFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.TLS.Certificates[0].Certificate[0]}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	return certFile, keyFile
}

func TestTLS(t *testing.T) {
	t.Parallel()
	body := rowsBody(nil)
	answer := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
	server, caFile := tlsBroker(t, tls.NoClientCert, answer)
	strict, strictCA := tlsBroker(t, tls.RequireAnyClientCert, answer)
	plain := newBroker(t, always(http.StatusOK, body))
	certFile, keyFile := keyPair(t, strict)
	for name, tc := range map[string]struct {
		cfg  Config
		want string // empty: it is read
	}{
		"trusted":                   {Config{Brokers: []string{server.URL}, CAFile: caFile}, ""},
		"not trusted":               {Config{Brokers: []string{server.URL}}, "PINOT_CA_FILE: the certificate of broker 127.0.0.1:"},
		"a certificate is wanted":   {Config{Brokers: []string{strict.URL}, CAFile: strictCA}, "PINOT_CLIENT_CERT_FILE: broker 127.0.0.1:"},
		"a certificate is shown":    {Config{Brokers: []string{strict.URL}, CAFile: strictCA, ClientCertFile: certFile, ClientKeyFile: keyFile}, ""},
		"https where http is meant": {Config{Brokers: []string{strings.Replace(plain.URL, "http:", "https:", 1)}}, "PINOT_BROKERS: broker 127.0.0.1:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSource(t, tc.cfg)
			_, err := s.Flight(t.Context(), "F1")
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			failure, ok := errors.AsType[*billing.Error](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, billing.CauseConfiguration, failure.Cause, "%v", err)
			require.ErrorContains(t, err, tc.want)
			_, ok = errors.AsType[*ConfigError](s.Check(t.Context()))
			require.True(t, ok)
		})
	}
}

// Brokers that the controller names are asked as the controller is.
func TestBrokersOfAControllerAreAskedAlike(t *testing.T) {
	t.Parallel()
	body := rowsBody(nil)
	var mu sync.Mutex
	var told []string
	enter := func(w http.ResponseWriter, r *http.Request) bool {
		user, password, _ := r.BasicAuth()
		mu.Lock()
		defer mu.Unlock()
		told = append(told, r.URL.Path+" "+user+":"+password+" "+r.Header.Get("X-Tenant")+" "+r.Header.Get("Database"))
		if user != "flightbill" || password != "p@ss" {
			w.WriteHeader(http.StatusUnauthorized)
			return false
		}
		return true
	}
	var list atomic.Pointer[string]
	server, caFile := tlsBroker(t, tls.NoClientCert, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !enter(w, r):
		case r.Method == http.MethodGet:
			_, _ = io.WriteString(w, *list.Load())
		default:
			_, _ = io.WriteString(w, body)
		}
	})
	for _, table := range []string{"flights", "fees.flights"} {
		text := strings.Replace(tableAt(t, server.URL), `"flights"`, `"`+table+`"`, 1)
		list.Store(&text)
		mu.Lock()
		told = nil
		mu.Unlock()
		cfg := Config{Controller: strings.Replace(server.URL, "https://", "https://flightbill:p%40ss@", 1), CAFile: caFile, Headers: "X-Tenant=blue", Database: "fees"}
		_, err := newSource(t, cfg).Flight(t.Context(), "F1")
		require.NoError(t, err)
		mu.Lock()
		got := told
		mu.Unlock()
		require.Equal(t, []string{
			"/v2/brokers/tables flightbill:p@ss blue fees", "/query/sql flightbill:p@ss blue fees", "/query/sql flightbill:p@ss blue fees",
		}, got, "the table's columns, and the flight")
	}
	s := newSource(t, Config{Controller: strings.Replace(server.URL, "https://", "https://flightbill:s3cret@", 1), CAFile: caFile})
	err := s.Check(t.Context())
	_, ok := errors.AsType[*ConfigError](err)
	require.True(t, ok, "%v", err)
	require.ErrorContains(t, err, "PINOT_TOKEN: controller "+strings.TrimPrefix(server.URL, "https://")+" answers with HTTP status 401")
	require.ErrorContains(t, err, "as user:password@ in PINOT_CONTROLLER")
	require.NotContains(t, err.Error(), "s3cret")
}

// Headers with secrets are not carried to wherever a controller sends us.
func TestControllerThatRedirects(t *testing.T) {
	t.Parallel()
	var asked atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	t.Cleanup(elsewhere.Close)
	c := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	t.Cleanup(c.Close)
	err := newSource(t, Config{Controller: c.URL, Token: "s3cret"}).Check(t.Context())
	require.ErrorContains(t, err, "PINOT_CONTROLLER: controller "+strings.TrimPrefix(c.URL, "http://")+" answers with HTTP status 302")
	require.False(t, asked.Load())
}

func FuzzAddressHidesThePassword(f *testing.F) {
	const secret = "s3cr3t"
	for _, around := range [][2]string{
		{"", ""}, {"p@", ""}, {"p/", ""}, {"12/", ""}, {"12?", ""}, {"12#", ""}, {"%zz", ""}, {"[", ""}, {"p:", ""}, {`\`, ""}, {"\x00", ""}, {" ", " "}, {"12/x?", "/"},
	} {
		f.Add(around[0], around[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, place := range []string{
			"http://clerk:%@localhost:8099", "https://clerk:%@localhost:8099/pinot", "clerk:%@localhost:8099", "http://%:@localhost:8099", "ftp://clerk:%@localhost:8099",
			"http:/clerk:%@localhost:8099", "%://localhost:8099", "http://clerk:%@localhost", "http://clerk:%@localhost:65536",
		} {
			address := strings.Replace(place, "%", before+secret+after, 1)
			b, err := parseAddress(address)
			if err != nil {
				require.NotContains(t, err.Error(), secret, "%q", address)
			}
			require.NotContains(t, b.name, secret, "%q", address)
			if u, err := url.Parse(b.url); err == nil {
				require.NotContains(t, u.Path, secret, "%q: its host is what begins the password", address)
			}
		}
	})
}
