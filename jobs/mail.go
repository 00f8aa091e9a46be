package jobs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

// SMTPSecurity says how a connection to a mail server is encrypted.
type SMTPSecurity string

// StartTLS and ImplicitTLS give up where the server's certificate is not good; NoTLS does
// without.
const (
	StartTLS    SMTPSecurity = "starttls"
	ImplicitTLS SMTPSecurity = "tls"
	NoTLS       SMTPSecurity = "none"
)

// MailSender mails issued invoices by a mail server.
type MailSender struct {
	Host     string
	Port     int
	User     string // "": without logging in
	Password string
	Security SMTPSecurity
	RootCAs  *x509.CertPool // nil: the system's
	// Render makes the PDF of an invoice or credit note.
	Render func(ctx context.Context, number string) (name string, pdf []byte, err error)
}

// mailPayload is what the table deliveries has of a mail.
type mailPayload struct {
	From     string `json:"from"`
	FromName string `json:"from_name"`
	Language string `json:"language"`
	Data     struct {
		Number string `json:"number"`
		Kind   string `json:"kind"`
	} `json:"data"`
}

// send makes one try. A refusal for good is the server's own, by a code of 500 and above;
// all else may be better at the next try: a server that is away, that hangs up, or that does
// not know the login.
func (s *MailSender) send(ctx context.Context, id string, delivery dbsqlc.DeliveryGetRow) *failure {
	var payload mailPayload
	if err := json.Unmarshal(delivery.Payload, &payload); err != nil {
		return &failure{final: true, reason: fmt.Sprintf("what is to be mailed cannot be read: %v", err)}
	}
	msg, err := s.message(id, delivery, payload)
	if err != nil {
		return &failure{final: true, reason: err.Error()}
	}
	name, pdf, err := s.Render(ctx, payload.Data.Number)
	if err != nil {
		return notTaken("the PDF of %s could not be made: %v", payload.Data.Number, err)
	}
	if err := msg.AttachReader(name, bytes.NewReader(pdf), gomail.WithFileContentType("application/pdf")); err != nil {
		return notTaken("the PDF of %s could not be attached: %v", payload.Data.Number, err)
	}
	err = s.hand(ctx, msg)
	switch refused, _ := errors.AsType[*gomail.SendError](err); {
	case err == nil, msg.IsDelivered(): // what comes after is the connection's end
		return nil
	case refused != nil && refused.ErrorCode() >= 500:
		return &failure{final: true, reason: fmt.Sprintf("the mail server refused it: %v", err)}
	}
	return notTaken("the mail server %s did not take it: %v", s.Host, err)
}

func (s *MailSender) hand(ctx context.Context, msg *gomail.Msg) error {
	options := []gomail.Option{
		gomail.WithPort(s.Port), gomail.WithTimeout(deliveryTimeout / 3), // it begins anew twice: greeting, login, message
		gomail.WithTLSConfig(&tls.Config{ServerName: s.Host, RootCAs: s.RootCAs, MinVersion: tls.VersionTLS12}),
	}
	switch s.Security {
	case NoTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	case ImplicitTLS:
		options = append(options, gomail.WithSSL())
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.User != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.User), gomail.WithPassword(s.Password))
	}
	client, err := gomail.NewClient(s.Host, options...)
	if err != nil {
		return err
	}
	server, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.CloseWithSMTPClient(server) }()
	return client.SendWithSMTPClient(server, msg)
}

// message is the same at each try, by its id too.
func (s *MailSender) message(id string, delivery dbsqlc.DeliveryGetRow, payload mailPayload) (*gomail.Msg, error) {
	from, err := mail.ParseAddress(payload.From)
	if err != nil {
		return nil, fmt.Errorf("the issuer's mail_from %q is no address: %w", payload.From, err)
	}
	to, err := mail.ParseAddress(delivery.Target)
	if err != nil {
		return nil, fmt.Errorf("the customer's %q is no address: %w", delivery.Target, err)
	}
	words, known := mailWords[payload.Language]
	if !known {
		words = mailWords["en"]
	}
	document := words.invoice
	if payload.Data.Kind == "credit_note" {
		document = words.creditNote
	}
	if from.Name == "" {
		from.Name = payload.FromName
	}
	msg := gomail.NewMsg()
	msg.FromMailAddress(from)
	msg.ToMailAddress(to)
	msg.Subject(fmt.Sprintf(words.subject, document, payload.Data.Number, payload.FromName))
	msg.SetMessageIDWithValue(id + from.Address[strings.LastIndexByte(from.Address, '@'):])
	msg.SetDateWithValue(delivery.CreatedAt)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, fmt.Sprintf(words.body, document, payload.Data.Number, payload.FromName))
	return msg, nil
}

// mailText is a mail in one language: the document, its number, and who issues it.
type mailText struct{ invoice, creditNote, subject, body string }

var mailWords = map[string]mailText{
	"en": {"Invoice", "Credit note", "%s %s from %s", "Dear Sir or Madam,\n\nplease find attached: %s %s.\n\nKind regards\n%s\n"},
	"de": {"Rechnung", "Rechnungskorrektur", "%s %s von %s", "Guten Tag,\n\nanbei erhalten Sie: %s %s.\n\nMit freundlichen Grüßen\n%s\n"},
	"fr": {"Facture", "Avoir", "%s %s de %s", "Madame, Monsieur,\n\nveuillez trouver ci-joint : %s %s.\n\nCordialement,\n%s\n"},
	"es": {"Factura", "Factura rectificativa", "%s %s de %s", "Estimados señores:\n\nAdjuntamos: %s %s.\n\nAtentamente,\n%s\n"},
}
