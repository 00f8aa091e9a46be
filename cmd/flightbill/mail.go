package main

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/jobs"
)

// mailSender mails invoices, with their PDF; nil where no mail server is set.
func (a *app) mailSender(pool *pgxpool.Pool) *jobs.MailSender {
	c := a.config
	if c.SMTPHost == "" {
		return nil
	}
	return &jobs.MailSender{
		Host: c.SMTPHost, Port: c.SMTPPort, User: c.SMTPUser, Password: c.SMTPPassword, Security: jobs.SMTPSecurity(c.SMTPTLS),
		Render: func(ctx context.Context, number string) (string, []byte, error) { return renderPDF(ctx, pool, number) },
	}
}

// renderPDF makes the PDF of an invoice or credit note.
func renderPDF(context.Context, *pgxpool.Pool, string) (name string, pdf []byte, err error) {
	return "", nil, errors.New("invoices are not rendered yet")
}
