package main

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/document/render"
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
		Render: func(ctx context.Context, number string) (name string, pdf []byte, err error) {
			pdf, err = db.GiveDocument(ctx, pool, number, render.PDF, a.now())
			return number + "." + render.PDF.Ending(), pdf, err
		},
	}
}
