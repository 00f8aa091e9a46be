package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/dbtest"
)

// The settings of HTTP and of secrets arrive where they are meant to, and no secret in what
// serve says.
func TestServeWithTLSPrefixAndSecretsInFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	template := httptest.NewUnstartedServer(nil) // for its certificate
	template.StartTLS()
	defer template.Close()
	cert := template.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	require.NoError(t, err)
	addr := freeAddress(t)
	p := startProcess(t, []string{"serve"}, "DATABASE_URL=", "DATABASE_URL_FILE="+file("url", dbtest.URL(t)+"\n"),
		"FLIGHTBILL_HTTP_ADDR="+addr, "FLIGHTBILL_HTTP_USER=clerk", "FLIGHTBILL_HTTP_PASSWORD_FILE="+file("password", "s3cr3t\n"),
		"FLIGHTBILL_HTTP_TLS_CERT="+file("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))),
		"FLIGHTBILL_HTTP_TLS_KEY="+file("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))),
		"FLIGHTBILL_HTTP_PREFIX=/billing", "FLIGHTBILL_METRICS_OPEN=true", "FLIGHTBILL_LOG_LEVEL=debug")
	eventually(t, "serve works", func() bool { return strings.Contains(p.said(), "flightbill is working") || p.hasEnded() })
	roots := x509.NewCertPool()
	roots.AddCert(template.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	ask := func(path, password string) (status int, text string) {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+addr+path, nil)
		require.NoError(t, err)
		if password != "" {
			req.SetBasicAuth("clerk", password)
		}
		res, err := transport.RoundTrip(req)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(body)
	}
	status, text := ask("/readyz", "")
	require.Equal(t, http.StatusOK, status, text)
	status, _ = ask("/billing/", "")
	require.Equal(t, http.StatusUnauthorized, status)
	status, _ = ask("/billing/", "s3cr3t-not")
	require.Equal(t, http.StatusUnauthorized, status)
	status, text = ask("/billing/", "s3cr3t")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, text, "<title>River</title>")
	status, text = ask("/metrics", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, text, `flightbill_http_unauthorized_total{credentials="wrong"} 1`)
	require.Contains(t, text, "\nflightbill_http_certificate_expiry_timestamp_seconds ")
	require.Contains(t, text, "flightbill_queue_readable 1")
	require.Contains(t, p.said(), "url=https://"+addr+"/billing/ credentials=true")
	require.NotContains(t, p.said(), "s3cr3t")
}
