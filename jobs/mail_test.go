package jobs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/jobs"
)

// postOffice is a mail server.
type postOffice struct {
	sender *jobs.MailSender // that sends to it
	close  func()

	mu      sync.Mutex
	refuse  error // of a recipient
	hangUp  bool  // once it has a message
	letters []letter
}

type letter struct {
	from, to string
	login    string
	message  *mail.Message
	parts    map[string]string // by content type
}

func newPostOffice(t *testing.T, withTLS bool) *postOffice {
	t.Helper()
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	p := &postOffice{}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &counter{office: p, conn: c}, nil }))
	if withTLS {
		server.TLSConfig = &tls.Config{Certificates: certified.TLS.Certificates}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.close = func() { _ = server.Close() }
	t.Cleanup(p.close)
	go func() { _ = server.Serve(listener) }()
	p.sender = &jobs.MailSender{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, User: "flightbill", Password: "let me in", Security: jobs.StartTLS, RootCAs: roots,
		Render: func(_ context.Context, number string) (string, []byte, error) {
			return number + ".pdf", []byte("%PDF of " + number), nil
		},
	}
	return p
}

func (p *postOffice) set(refuse error, hangUp bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse, p.hangUp = refuse, hangUp
}

func (p *postOffice) all() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]letter{}, p.letters...)
}

// counter is one client's.
type counter struct {
	office *postOffice
	conn   *smtp.Conn
	letter letter
}

func (c *counter) AuthMechanisms() []string { return []string{sasl.Plain} }
func (c *counter) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "flightbill" || password != "let me in" {
			return smtp.ErrAuthFailed
		}
		c.letter.login = user
		return nil
	}), nil
}
func (c *counter) Mail(from string, _ *smtp.MailOptions) error { c.letter.from = from; return nil }
func (c *counter) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.letter.to = to
	c.office.mu.Lock()
	defer c.office.mu.Unlock()
	return c.office.refuse
}

func (c *counter) Data(r io.Reader) (err error) {
	c.office.mu.Lock()
	defer c.office.mu.Unlock()
	if c.letter.message, err = mail.ReadMessage(r); err != nil {
		return err
	}
	c.letter.parts = map[string]string{}
	_, params, err := mime.ParseMediaType(c.letter.message.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	parts := multipart.NewReader(c.letter.message.Body, params["boundary"])
	for {
		part, err := parts.NextPart() // quoted-printable is decoded
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		kind, _, _ := strings.Cut(part.Header.Get("Content-Type"), ";")
		c.letter.parts[kind] = strings.TrimSpace(part.FileName() + " " + string(text))
	}
	c.office.letters = append(c.office.letters, c.letter)
	if c.office.hangUp {
		_ = c.conn.Conn().Close()
	}
	return nil
}
func (c *counter) Reset()        {}
func (c *counter) Logout() error { return nil }

// setupMail has an issuer who mails, and a customer with an address, in German.
func setupMail(t *testing.T) *testBundle {
	t.Helper()
	b := setup(t)
	b.exec(t, `INSERT INTO issuers (since, name, mail_from) VALUES (now(), 'Old', NULL), (now(), 'Flughafen Grünau', 'rechnung@gruenau.test')`)
	b.exec(t, `UPDATE customers SET emails = '{buchhaltung@single.test}', language = 'de' WHERE code = 'EACH'`)
	return b
}

func TestMailOfAnIssuedInvoice(t *testing.T) {
	t.Parallel()
	b := setupMail(t)
	office := newPostOffice(t, true)
	b.start(t, func(c *jobs.Config) { c.Mail = office.sender })
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.exec(t, `UPDATE customers SET emails = '{other@single.test}', language = 'fr' WHERE code = 'EACH'`) // which is for the next one
	b.exec(t, `SELECT void_invoice('EACH-000001', 'wrong tariff')`)
	b.waitFor(t, "all is delivered", 2, `SELECT count(*) FROM deliveries WHERE state = 'delivered'`)
	require.Len(t, office.all(), 2)
	decoded := func(l letter, header string) string {
		text, err := new(mime.WordDecoder).DecodeHeader(l.message.Header.Get(header))
		require.NoError(t, err)
		return text
	}
	for _, l := range office.all() {
		require.Equal(t, "flightbill", l.login)
		require.Equal(t, "rechnung@gruenau.test", l.from)
		require.Equal(t, `Flughafen Grünau <rechnung@gruenau.test>`, decoded(l, "From"))
		if l.to == "buchhaltung@single.test" {
			require.Equal(t, "Rechnung EACH-000001 von Flughafen Grünau", decoded(l, "Subject"))
			require.Equal(t, "Guten Tag,\r\n\r\nanbei erhalten Sie: Rechnung EACH-000001.\r\n\r\nMit freundlichen Grüßen\r\nFlughafen Grünau", l.parts["text/plain"])
			require.True(t, strings.HasPrefix(l.parts["application/pdf"], "EACH-000001.pdf "))
			require.Equal(t, "<"+get[string](t, b, `SELECT id FROM deliveries WHERE target = 'buchhaltung@single.test'`)+"@gruenau.test>", l.message.Header.Get("Message-Id"))
		} else {
			require.Equal(t, "other@single.test", l.to)
			require.Equal(t, "Avoir EACH-CN000001 de Flughafen Grünau", decoded(l, "Subject"))
		}
	}
}

// What may be better at another try is tried again, as the same message; what the server
// refuses for good is given up, with its words.
func TestMailThatIsNotTaken(t *testing.T) {
	t.Parallel()
	b := setupMail(t)
	office := newPostOffice(t, true)
	b.billed(t, "E1", "EACH", landed(4, 9))
	worker := b.deliver(office.sender)
	try := func() error { return worker.Work(t.Context(), b.deliveryJob(t, 1)) }

	office.set(&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "Greylisted, come back"}, false)
	require.ErrorContains(t, try(), `451 "4.7.1 Greylisted, come back"`)
	office.set(nil, true)
	require.ErrorContains(t, try(), "did not take it")
	office.set(nil, false)
	password := office.sender.Password
	office.sender.Password = "wrong password"
	require.ErrorContains(t, try(), "535")
	office.sender.Password = password
	render := office.sender.Render
	office.sender.Render = func(context.Context, string) (string, []byte, error) { return "", nil, errors.New("no font") }
	require.EqualError(t, try(), "the PDF of EACH-000001 could not be made: no font")
	office.sender.Render = render
	require.Equal(t, "mail invoice.issued failed 4", get[string](t, b, deliveryStates))
	require.NotContains(t, get[string](t, b, `SELECT last_error FROM deliveries`), "wrong password")
	require.NoError(t, try())
	require.Equal(t, "mail invoice.issued delivered 5", get[string](t, b, deliveryStates))
	letters := office.all()
	require.Len(t, letters, 2, "the one that it had when it hung up, and the one that it took")
	for _, header := range []string{"Message-Id", "Date", "Subject", "To"} {
		require.Equal(t, letters[0].message.Header[header], letters[1].message.Header[header], header)
	}

	refused := setupMail(t)
	office.set(&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such mailbox"}, false)
	refused.billed(t, "E1", "EACH", landed(4, 9))
	require.NoError(t, refused.deliver(office.sender).Work(t.Context(), refused.deliveryJob(t, 1)))
	require.Equal(t, "mail invoice.issued given_up 1", get[string](t, refused, deliveryStates))
	require.Contains(t, get[string](t, refused, `SELECT last_error FROM deliveries`), `550 "5.1.1 No such mailbox"`)

	plain := newPostOffice(t, false)
	again := setupMail(t)
	again.billed(t, "E1", "EACH", landed(4, 9))
	require.ErrorContains(t, again.deliver(plain.sender).Work(t.Context(), again.deliveryJob(t, 1)), "STARTTLS")
	require.Empty(t, plain.all(), "nothing goes out unencrypted")
	plain.close()
	require.ErrorContains(t, again.deliver(plain.sender).Work(t.Context(), again.deliveryJob(t, 1)), "connection refused")
	require.Equal(t, "mail invoice.issued failed 2", get[string](t, again, deliveryStates))
}

// Without a mail server mail waits, with the reason, and spends no try; a process that has
// one sends it at once.
func TestMailWaitsForAMailServer(t *testing.T) {
	t.Parallel()
	b := setupMail(t)
	b.clock.Set(time.Now())
	b.billed(t, "E1", "EACH", landed(4, 9))
	without := b.service(t)
	require.NoError(t, without.Start(t.Context()))
	const waits = `SELECT count(*) FROM deliveries JOIN river_job j ON j.id = job_id
		WHERE deliveries.state = 'pending' AND attempts = 0 AND last_error LIKE 'no mail server is set%' AND next_at > now() + interval '55 minutes' AND j.state = 'scheduled' AND j.attempt = 0`
	b.waitFor(t, "it waits", 1, waits)
	require.NoError(t, without.Stop(t.Context()))
	office := newPostOffice(t, true)
	b.start(t, func(c *jobs.Config) { c.Mail = office.sender })
	b.waitFor(t, "it is delivered", 1, `SELECT count(*) FROM deliveries WHERE state = 'delivered' AND attempts = 1 AND last_error IS NULL`)
	require.Len(t, office.all(), 1)
}
