package db

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
	"github.com/flightbill/flightbill/document"
)

// CustomerParty is a customer, and what stands on its invoices.
type CustomerParty struct {
	document.Party // the buyer reference and the language only where the customer has its own

	BillingFrequency string `json:"billing_frequency"`
	PaymentTermsDays int    `json:"payment_terms_days"`
	BillingHold      bool   `json:"billing_hold"`
}

// CustomerParties returns all customers, by code.
func CustomerParties(ctx context.Context, db dbsqlc.DBTX) ([]CustomerParty, error) {
	rows, err := dbsqlc.New(db).CustomerPartyList(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the customers: %w", err)
	}
	customers := make([]CustomerParty, len(rows))
	for i, row := range rows {
		c := CustomerParty{BillingFrequency: row.BillingFrequency, PaymentTermsDays: int(row.PaymentTermsDays), BillingHold: row.BillingHold}
		if err := json.Unmarshal(row.Party, &c.Party); err != nil {
			return nil, fmt.Errorf("read customer %q: %w", row.Code, err)
		}
		customers[i] = c
	}
	return customers, nil
}

// MasterData is what is missing on the invoices to come.
type MasterData struct {
	Issuer    []document.Gap
	Customers []CustomerData
	Rates     []MissingRate
}

// CustomerData is what is missing of a customer.
type CustomerData struct {
	CustomerParty

	Gaps  []document.Gap
	Notes []string
}

// MissingRate is a pair of currencies without a rate, in either direction.
type MissingRate struct {
	Currency   string
	InCurrency string // the issuer's, in which it declares tax
}

// CheckMasterData says what is missing for the tariffs of a day and later, of customers
// with these codes; none: of all.
func CheckMasterData(ctx context.Context, pool *pgxpool.Pool, codes []string, day billing.Date) (data MasterData, err error) {
	err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		customers, err := CustomerParties(ctx, tx)
		if err != nil {
			return err
		}
		for _, code := range codes {
			if !slices.ContainsFunc(customers, func(c CustomerParty) bool { return c.Code == code }) {
				return fmt.Errorf("there is no customer %q", code)
			}
		}
		version, err := ReadIssuer(ctx, tx)
		if err != nil {
			return err
		}
		var issuer *document.Issuer
		if version != nil {
			if issuer, err = version.Issuer(); err != nil {
				return err
			}
		}
		uses, err := dbsqlc.New(tx).TariffUseList(ctx, day)
		if err != nil {
			return fmt.Errorf("read the tariffs' taxes: %w", err)
		}
		data = gapsOf(issuer, customers, codes, uses)
		if issuer != nil && issuer.TaxCurrency != "" {
			data.Rates, err = missingRates(ctx, tx, issuer.TaxCurrency, uses, day)
		}
		return err
	})
	return data, err
}

func gapsOf(issuer *document.Issuer, customers []CustomerParty, codes []string, uses []dbsqlc.TariffUseListRow) (data MasterData) {
	categories := func(applies func(customer string) bool) (list []billing.TaxCategory) {
		for _, use := range uses {
			if category := billing.TaxCategory(use.TaxCategory); applies(use.Customer) && !slices.Contains(list, category) {
				list = append(list, category)
			}
		}
		return list
	}
	data.Issuer = document.IssuerGaps(issuer, categories(func(string) bool { return true }))
	mailed := false
	for _, c := range customers {
		mailed = mailed || len(c.Emails) > 0
		if len(codes) > 0 && !slices.Contains(codes, c.Code) {
			continue
		}
		applied := categories(func(customer string) bool { return customer == "" || customer == c.Code })
		data.Customers = append(data.Customers, CustomerData{c, document.CustomerGaps(issuer, &c.Party, applied), document.CustomerNotes(&c.Party)})
	}
	if mailed && issuer != nil && issuer.MailFrom == "" {
		data.Issuer = append(data.Issuer, document.Gap{Column: "mail_from", Why: "to mail invoices: there are customers with emails"})
	}
	return data
}

func missingRates(ctx context.Context, tx pgx.Tx, in string, uses []dbsqlc.TariffUseListRow, day billing.Date) (missing []MissingRate, err error) {
	pairs, err := dbsqlc.New(tx).CurrencyRatePairs(ctx, day)
	if err != nil {
		return nil, fmt.Errorf("read the currency rates: %w", err)
	}
	for _, use := range uses {
		rate := MissingRate{use.Currency, in}
		known := slices.ContainsFunc(pairs, func(p dbsqlc.CurrencyRatePairsRow) bool {
			return p.Currency == use.Currency && p.InCurrency == in || p.Currency == in && p.InCurrency == use.Currency
		})
		if use.Currency != in && !known && !slices.Contains(missing, rate) {
			missing = append(missing, rate)
		}
	}
	return missing, nil
}
