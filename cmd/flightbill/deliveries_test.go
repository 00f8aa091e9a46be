package main

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// letterBox is a mail server that keeps one letter.
type letterBox struct{ letters chan string }

func (b letterBox) NewSession(*smtp.Conn) (smtp.Session, error) { return b, nil }
func (letterBox) Mail(string, *smtp.MailOptions) error          { return nil }
func (letterBox) Rcpt(string, *smtp.RcptOptions) error          { return nil }
func (letterBox) Reset()                                        {}
func (letterBox) Logout() error                                 { return nil }
func (b letterBox) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	b.letters <- string(text)
	return err
}

// An invoice leaves the house: a local receiver gets its webhook, which it verifies, and
// its customer the mail with the PDF.
func TestServeTellsOthers(t *testing.T) {
	t.Parallel()
	address, pool := queueDatabase(t, 1)
	box := letterBox{make(chan string, 1)}
	server := smtp.NewServer(box)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	requests := make(chan *http.Request, 1)
	bodies := make(chan []byte, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- body
	}))
	t.Cleanup(receiver.Close)

	env := map[string]string{"DATABASE_URL": address, "FLIGHTBILL_WEBHOOK_ALLOW_PRIVATE": "true"}
	status, stdout, stderr := runWith(env, "webhooks", "add", receiver.URL, "--events", "invoice.issued")
	require.Equal(t, exitDone, status, stderr)
	_, secret, _ := strings.Cut(stdout, "secret ")
	secret, _, _ = strings.Cut(secret, "\n")
	_, err = pool.Exec(t.Context(), `INSERT INTO flightbill.issuers (since, name, mail_from, country) VALUES (now(), 'Skyport', 'billing@skyport.test', 'IE');
		UPDATE flightbill.customers SET emails = '{accounts@each.test}', language = 'es'`)
	require.NoError(t, err)
	startServe(t, "DATABASE_URL="+address, "FLIGHTBILL_RESULTS=", "FLIGHTBILL_WEBHOOK_ALLOW_PRIVATE=true", "FLIGHTBILL_SMTP_TLS=none",
		"FLIGHTBILL_SMTP_HOST=127.0.0.1", "FLIGHTBILL_SMTP_PORT="+strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
	_, err = pool.Exec(t.Context(), enqueueAll)
	require.NoError(t, err)
	eventually(t, "all is delivered", func() bool { return number(t, pool, `SELECT count(*) FROM deliveries WHERE state = 'delivered'`) == 2 })

	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	body := <-bodies
	require.NoError(t, verifier.Verify(body, (<-requests).Header), "its clock is right, too")
	require.Contains(t, string(body), `"number" : "EACH-000001"`)
	letter := <-box.letters
	require.Contains(t, letter, "Factura EACH-000001 de Skyport")
	_, attached, found := strings.Cut(letter, `filename="EACH-000001.pdf"`)
	require.True(t, found, letter)
	_, attached, _ = strings.Cut(attached, "\r\n\r\n")
	attached, _, _ = strings.Cut(attached, "\r\n--")
	pdf, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(attached, "\r\n", ""))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(pdf), "%PDF-"))
	require.Equal(t, len(pdf), number(t, pool, `SELECT octet_length(bytes) FROM invoice_documents`), "what was sent is kept")
}
