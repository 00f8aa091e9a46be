package imports

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/bank"
	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// BankFormat is what a bank's file is written in.
type BankFormat string

// Formats of a bank's file.
const (
	BankByContent BankFormat = ""     // what it looks like
	BankCAMT      BankFormat = "camt" // CAMT.053
	BankCSV       BankFormat = "csv"
)

// BankResult says what an import of a bank's file did. Entries is the sum of the next three.
type BankResult struct {
	Entries   int64 `json:"entries"` // that the bank has booked
	Booked    int64 `json:"booked"`
	Unmatched int64 `json:"unmatched"`
	Known     int64 `json:"known"`      // imported before
	NotBooked int64 `json:"not_booked"` // left out: the bank has not booked them yet, or they are of 0

	// Listed are those that a person has to look at; of a dry run all that are new. There
	// may be more.
	Listed []db.BankEntry `json:"listed"`
}

const (
	bankChunk      = 500       // entries sent at once
	maxBankEntries = 1_000_000 // of a file
	maxListed      = 1000
)

var bankColumns = []csvColumn{
	{name: "booking_day"},
	{name: "value_day", optional: true},
	{name: "amount"},
	{name: "currency"},
	{name: "reference", most: maxBankText},
	{name: "bank_reference", optional: true, most: maxBankReference},
	{name: "payer", optional: true},
	{name: "account", optional: true},
}

const (
	maxBankText      = 2000
	maxBankReference = 150
)

// errBankDry takes a dry run back.
var errBankDry = errors.New("dry run")

// LoadBank takes in a bank's file, all of it or nothing, and books what names an invoice.
// An entry that is there already, from whatever file, is not taken in again.
func LoadBank(ctx context.Context, pool *pgxpool.Pool, name string, r io.Reader, format BankFormat, dry bool, progress func(entries int64)) (BankResult, error) {
	text, err := plainText(r)
	if err != nil {
		return BankResult{}, fmt.Errorf("%s: cannot be read: %w", name, err)
	}
	start := bufio.NewReaderSize(text, 4096)
	if format == BankByContent {
		format = BankCSV
		if first, _ := start.Peek(start.Size()); bytes.HasPrefix(bytes.TrimSpace(first), []byte("<")) {
			format = BankCAMT
		}
	}
	var result BankResult
	err = pgx.BeginTxFunc(ctx, pool, db.ReadCommitted, func(tx pgx.Tx) error {
		b, err := newBankFile(ctx, dbsqlc.New(tx), name)
		if err != nil {
			return err
		}
		if b.progress = progress; progress == nil {
			b.progress = func(int64) {}
		}
		if err := b.read(ctx, start, format); err != nil {
			return err
		}
		result, err = b.finish(ctx, dry)
		if err == nil && dry {
			return errBankDry
		}
		return err
	})
	if errors.Is(err, errBankDry) {
		return result, nil
	}
	if err == nil {
		return result, nil
	}
	if _, wrong := errors.AsType[*fileError](err); wrong {
		return BankResult{}, err
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return BankResult{}, fmt.Errorf("import %s: %w", name, err)
}

// bankFile is a file that is being taken in.
type bankFile struct {
	name     string
	queries  *dbsqlc.Queries
	codes    *bank.Codes
	ibans    []string // the issuer's, the last first
	progress func(entries int64)

	seen    map[[16]byte]int // entries that are the same in all that tells them apart
	checked string           // account
	chunk   []bank.Entry
	result  BankResult
	added   int64
}

func newBankFile(ctx context.Context, q *dbsqlc.Queries, name string) (*bankFile, error) {
	codes, err := q.CustomerCodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the customers' codes: %w", err)
	}
	ibans, err := q.IssuerIBANList(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the issuer's IBAN: %w", err)
	}
	for i, iban := range ibans {
		ibans[i] = bank.Account(iban)
	}
	return &bankFile{name: name, queries: q, codes: bank.NewCodes(codes), ibans: ibans, seen: map[[16]byte]int{}}, nil
}

func (b *bankFile) read(ctx context.Context, text io.Reader, format BankFormat) error {
	each := func(e bank.Entry) error { return b.add(ctx, e) }
	if format == BankCSV {
		return b.readCSV(text, each)
	}
	pending, err := bank.ReadCAMT(text, each)
	b.result.NotBooked = pending.NotBooked + pending.Zero
	if errors.Is(err, bank.ErrMalformed) {
		return &fileError{[]error{fmt.Errorf("%s: %w; nothing of the file was taken in: have the bank give it anew, or write the entries as CSV", b.name, err)}}
	}
	return err
}

func (b *bankFile) readCSV(text io.Reader, each func(bank.Entry) error) error {
	f, err := openCSV(b.name, text, bankColumns, 0, nil)
	if err != nil {
		return err
	}
	for f.next() {
		e, right := bankRow(f)
		if !right {
			continue
		}
		if e.Account == "" && len(b.ibans) > 0 {
			e.Account = b.ibans[0]
		}
		if e.Amount.IsZero() {
			b.result.NotBooked++
			continue
		}
		if len(f.problems) > 0 {
			continue // nothing will be kept
		}
		if err := each(e); err != nil {
			return err
		}
	}
	return f.err()
}

func bankRow(f *csvFile) (e bank.Entry, right bool) {
	before := len(f.problems)
	const day = "write a day such as 2026-11-23"
	e.BookedOn, e.ValueOn = f.date("booking_day", day), f.date("value_day", day)
	if f.cell("booking_day") == "" {
		f.wrong("booking_day", day)
	}
	const amount = "write a number such as 1234.50, below 0 where money went"
	if f.required("amount", amount) != "" {
		if d := f.decimal("amount", amount); d != nil {
			if e.Amount = *d; d.Abs().GreaterThanOrEqual(decimal.New(1, 15)) {
				f.wrong("amount", "write less than 1000000000000000")
			}
		}
	}
	const currency = "write a currency's code such as EUR"
	if e.Currency = strings.ToUpper(f.required("currency", currency)); e.Currency != "" && (len(e.Currency) != 3 || strings.Trim(e.Currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		f.wrong("currency", currency)
	}
	e.Account = bank.Account(f.cell("account"))
	if utf8.RuneCountInString(e.Account) > 64 {
		f.wrong("account", "write an IBAN, or another account number of at most 64 characters")
	}
	e.Text, e.Reference, e.Payer = bank.OneLine(f.cell("reference")), bank.Given(f.cell("bank_reference")), bank.OneLine(f.cell("payer"))
	return e, len(f.problems) == before
}

// add takes in an entry of the file.
func (b *bankFile) add(ctx context.Context, e bank.Entry) error {
	if b.result.Entries == maxBankEntries {
		return &fileError{[]error{fmt.Errorf("%s: it has more than %d entries: split it", b.name, maxBankEntries)}}
	}
	if err := b.checkAccount(e.Account); err != nil {
		return err
	}
	b.result.Entries++
	b.chunk = append(b.chunk, e)
	if len(b.chunk) < bankChunk {
		return nil
	}
	return b.flush(ctx)
}

// checkAccount refuses the statement of an account to which nobody pays invoices.
func (b *bankFile) checkAccount(account string) error {
	if account == b.checked || !bank.IsIBAN(account) {
		return nil
	}
	known := false
	for _, iban := range b.ibans {
		if iban == account {
			known = true
		}
	}
	if len(b.ibans) > 0 && !known {
		return &fileError{[]error{fmt.Errorf("%s: it is of account %s, and the issuer's is %s: give the statement of that account, or set the issuer's IBAN", b.name, account, b.ibans[0])}}
	}
	b.checked = account
	return nil
}

// bankLine is an entry as add_bank_entries takes it.
type bankLine struct {
	Account   string          `json:"account"`
	Reference string          `json:"bank_reference"`
	BookedOn  billing.Date    `json:"booked_on"`
	ValueOn   billing.Date    `json:"value_on,omitzero"`
	Amount    decimal.Decimal `json:"amount"`
	Currency  string          `json:"currency"`
	Nth       int             `json:"nth"`
	Text      string          `json:"text"`
	Payer     string          `json:"payer"`
	Numbers   []string        `json:"numbers"`
	Reason    string          `json:"reason,omitempty"`
}

// flush sends the entries that have been read.
func (b *bankFile) flush(ctx context.Context) error {
	if len(b.chunk) == 0 {
		return nil
	}
	found := make([][]bank.Found, len(b.chunk))
	var candidates []string
	for i, e := range b.chunk {
		found[i] = b.codes.Find(e.Text)
		for _, f := range found[i] {
			candidates = append(candidates, f.Number)
		}
	}
	there, err := b.queries.InvoiceNumbersThere(ctx, candidates)
	if err != nil {
		return fmt.Errorf("look for invoices: %w", err)
	}
	isThere := make(map[string]bool, len(there))
	for _, number := range there {
		isThere[number] = true
	}
	lines := make([]bankLine, len(b.chunk))
	for i, e := range b.chunk {
		lines[i] = b.line(e, found[i], isThere)
	}
	text, err := json.Marshal(lines)
	if err != nil {
		return err
	}
	added, err := b.queries.BankEntryAdd(ctx, dbsqlc.BankEntryAddParams{File: b.name, Entries: text})
	if err != nil {
		return fmt.Errorf("take in the entries before number %d: %w", b.result.Entries+1, err)
	}
	b.added += added
	b.chunk = b.chunk[:0]
	b.progress(b.result.Entries)
	return nil
}

func (b *bankFile) line(e bank.Entry, found []bank.Found, isThere map[string]bool) bankLine {
	var sure []bank.Found
	for _, f := range found {
		if isThere[f.Number] {
			sure = append(sure, f)
		}
	}
	numbers, unclear := bank.Choose(sure)
	l := bankLine{
		Account: e.Account, Reference: e.Reference, BookedOn: e.BookedOn, ValueOn: e.ValueOn, Amount: e.Amount, Currency: e.Currency,
		Text: e.Text, Payer: e.Payer, Numbers: append(numbers, unclear...),
	}
	if l.Reference == "" {
		l.Reference = e.MadeReference()
	}
	if l.Numbers == nil {
		l.Numbers = []string{}
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{l.Account, l.Reference, l.BookedOn.String(), l.Amount.String(), l.Currency}, "\x00")))
	key := [16]byte(sum[:16])
	b.seen[key]++
	l.Nth = b.seen[key]
	switch {
	case e.Reversal:
		l.Reason = "the bank takes an earlier entry back: if that was booked, take its payment back"
	case e.Amount.IsNegative():
		l.Reason = "money that went is not booked by itself"
	case e.Batch > 0:
		l.Reason = fmt.Sprintf("it is the sum of %d payments, whose amounts the file does not have: see the bank's list", e.Batch)
	case l.Nth > 1 && e.Reference != "":
		l.Reason = "the file has an entry of this bank reference, day and amount more than once"
	case len(unclear) > 0:
		l.Reason = "its text can mean " + strings.Join(unclear, " or ")
	}
	return l
}

// finish books what can be, and says what became of the file.
func (b *bankFile) finish(ctx context.Context, dry bool) (BankResult, error) {
	if err := b.flush(ctx); err != nil {
		return BankResult{}, err
	}
	if err := b.queries.BankEntryMatch(ctx); err != nil {
		return BankResult{}, fmt.Errorf("book the entries: %w", err)
	}
	states, err := b.queries.BankEntryImported(ctx)
	if err != nil {
		return BankResult{}, fmt.Errorf("count the entries: %w", err)
	}
	for _, s := range states {
		if s.State == "booked" {
			b.result.Booked = s.Entries
		} else {
			b.result.Unmatched += s.Entries
		}
	}
	b.result.Known = b.result.Entries - b.added
	b.result.Listed, err = b.queries.BankEntryList(ctx, dbsqlc.BankEntryListParams{Here: true, Unmatched: !dry, MaxRows: maxListed})
	if err != nil {
		return BankResult{}, fmt.Errorf("list the entries: %w", err)
	}
	return b.result, nil
}
