package bank

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
)

// Bounds of a file. 10 MB of gzip can hold 10 GB of one text.
const (
	maxDepth   = 40
	maxToken   = 1 << 20  // bytes from one tag to the next
	maxEntry   = 32 << 20 // bytes of an entry with its details
	maxText    = 2000     // characters that are kept of what belongs to one payment
	maxDetails = 100_000  // payments of a batch
)

// ErrMalformed says that a file is no statement, or is broken.
var ErrMalformed = errors.New("the statement cannot be read")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// Pending counts what ReadCAMT left out, since nothing has been booked: entries that are
// not final, and those of nothing.
type Pending struct{ NotBooked, Zero int64 }

// ReadCAMT reads a statement of an account, CAMT.053 in any version, and gives its booked
// entries in their order; a batch by its payments, where it has their amounts. It keeps no
// more than one entry.
//
// Entities that a file declares are never read, and a file that declares any is refused.
func ReadCAMT(r io.Reader, each func(Entry) error) (Pending, error) {
	bounded := &boundedReader{from: r}
	c := &camt{decoder: xml.NewDecoder(bounded), bounded: bounded, each: each}
	c.decoder.CharsetReader = charset
	if err := c.document(); err != nil {
		return c.pending, err
	}
	return c.pending, nil
}

// charset reads the one other encoding that statements come in.
func charset(label string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "us-ascii", "ascii", "utf8":
		return input, nil
	case "iso-8859-1", "latin1", "iso8859-1", "windows-1252":
		return &latin1{from: bufio.NewReader(input)}, nil
	}
	return nil, malformed("its encoding %q is not known: have the bank give it in UTF-8", label)
}

type latin1 struct{ from *bufio.Reader }

func (l *latin1) Read(p []byte) (n int, err error) {
	for n+1 < len(p) {
		if n > 0 && l.from.Buffered() == 0 {
			break
		}
		c, err := l.from.ReadByte()
		if err != nil {
			return n, err
		}
		n += utf8.EncodeRune(p[n:], rune(c))
	}
	return n, nil
}

// boundedReader fails where more is read for one token than one may have.
type boundedReader struct {
	from io.Reader
	read int64 // since the last token, and what the decoder has read ahead
	over bool
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.read > maxToken {
		b.over = true
		return 0, malformed("a text has more than %d bytes", maxToken)
	}
	n, err := b.from.Read(p[:min(len(p), 4096)])
	b.read += int64(n)
	return n, err
}

// camt is a file that is being read.
type camt struct {
	decoder *xml.Decoder
	bounded *boundedReader
	each    func(Entry) error
	path    []string // local names
	pending Pending
	nth     int64 // entry of the file, for messages

	statement, account string
	statements         int
}

// next reads a token, with the path to it. At an end, the path still has the element.
func (c *camt) next() (xml.Token, error) {
	c.bounded.read = 0
	token, err := c.decoder.RawToken()
	switch {
	case c.bounded.over:
		return nil, malformed("a text has more than %d bytes", maxToken)
	case errors.Is(err, io.EOF):
		if len(c.path) > 0 {
			return nil, malformed("it ends within <%s>: is it whole?", c.path[len(c.path)-1])
		}
		return nil, io.EOF
	case errors.Is(err, ErrMalformed):
		return nil, err
	case err != nil:
		if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
			return nil, malformed("line %d is not XML: %s", syntax.Line, syntax.Msg)
		}
		return nil, malformed("%w", err)
	}
	switch t := token.(type) {
	case xml.StartElement:
		c.path = append(c.path, t.Name.Local)
		if len(c.path) > maxDepth {
			return nil, malformed("its elements lie within each other more than %d deep", maxDepth)
		}
	case xml.EndElement:
		if len(c.path) == 0 || c.path[len(c.path)-1] != t.Name.Local {
			return nil, malformed("</%s> ends what was not begun", shown(t.Name.Local))
		}
	case xml.Directive:
		return nil, malformed("it has a <!DOCTYPE> or the like, which no bank writes: it is not read")
	}
	return token, nil
}

func (c *camt) end() { c.path = c.path[:len(c.path)-1] }

func (c *camt) document() error {
	for {
		token, err := c.next()
		if errors.Is(err, io.EOF) {
			if c.statements == 0 {
				return malformed("there is no account statement (BkToCstmrStmt/Stmt) in it: give the file that the bank calls CAMT.053")
			}
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "BkToCstmrAcctRpt":
				return malformed("it is a report of the day (CAMT.052): give the statement, CAMT.053")
			case "BkToCstmrDbtCdtNtfctn":
				return malformed("it is a notification (CAMT.054): give the statement, CAMT.053")
			case "Stmt":
				if len(c.path) < 2 || c.path[len(c.path)-2] != "BkToCstmrStmt" {
					continue
				}
				if err := c.readStatement(); err != nil {
					return err
				}
			}
		case xml.EndElement:
			c.end()
		}
	}
}

// readStatement reads a Stmt, to its end.
func (c *camt) readStatement() error {
	c.statements++
	c.statement, c.account = "", ""
	depth := len(c.path)
	for {
		token, err := c.next()
		if err != nil {
			return c.within(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(c.path) == depth+1 && t.Name.Local == "Ntry" {
				if err := c.entry(); err != nil {
					return c.within(err)
				}
			}
		case xml.CharData:
			switch strings.Join(c.path[depth:], "/") {
			case "Id":
				join(&c.statement, clean(t))
			case "Acct/Id/IBAN", "Acct/Id/Othr/Id":
				join(&c.account, Account(clean(t)))
			}
		case xml.EndElement:
			c.end()
			if len(c.path) < depth {
				return nil
			}
		}
	}
}

// within says in which entry an error is.
func (c *camt) within(err error) error {
	if !errors.Is(err, ErrMalformed) {
		return err
	}
	where := "statement " + strconv.Quote(shown(c.statement))
	if c.nth > 0 {
		where += fmt.Sprintf(", entry %d", c.nth)
	}
	return fmt.Errorf("%s: %w", where, err)
}

// part is what an entry, or a payment of a batch, says.
type part struct {
	amount, currency               string
	ownAmount, ownCurrency         string // AmtDtls/TxAmt
	instructed, instructedCurrency string // AmtDtls/InstdAmt
	credit, reversal, status       string
	booked, value                  string
	reference, endToEnd            string
	debtor, creditor               string
	remittance                     []string
	fallback                       []string // what the bank says where nobody wrote anything
	length                         int      // of both
	payments                       string   // how many a batch has
}

// entry reads a Ntry, to its end, and gives what it holds.
func (c *camt) entry() error {
	c.nth++
	depth := len(c.path)
	began := c.decoder.InputOffset()
	var whole part
	var details []part
	into := &whole
	detail := 0 // depth of the TxDtls
	currency := ""
	for {
		token, err := c.next()
		if err != nil {
			return err
		}
		if c.decoder.InputOffset()-began > maxEntry {
			return malformed("it has more than %d bytes", maxEntry)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if detail == 0 && t.Name.Local == "TxDtls" && len(c.path) == depth+2 {
				if len(details) == maxDetails {
					return malformed("it has more than %d payments", maxDetails)
				}
				details = append(details, part{})
				into, detail = &details[len(details)-1], len(c.path)
			}
			if t.Name.Local == "Ustrd" || t.Name.Local == "Strd" {
				into.remittance = append(into.remittance, "")
			}
			currency = ""
			for _, a := range t.Attr {
				if a.Name.Local == "Ccy" {
					currency = a.Value
				}
			}
		case xml.CharData:
			if text := clean(t); text != "" {
				base := depth
				if detail > 0 {
					base = detail
				}
				into.take(strings.Join(c.path[base:], "/"), text, currency)
			}
		case xml.EndElement:
			c.end()
			switch {
			case len(c.path) < depth:
				return c.give(whole, details)
			case detail > 0 && len(c.path) < detail:
				into, detail = &whole, 0
			}
		}
	}
}

// take takes in a text of an entry or of its TxDtls, by the path from there.
func (p *part) take(path, text, currency string) {
	add := func(to *string) { join(to, text) }
	switch strings.TrimSuffix(path, "/Pty/Nm") {
	case "Amt":
		add(&p.amount)
		p.currency = currency
	case "AmtDtls/TxAmt/Amt":
		add(&p.ownAmount)
		p.ownCurrency = currency
	case "AmtDtls/InstdAmt/Amt":
		add(&p.instructed)
		p.instructedCurrency = currency
	case "CdtDbtInd":
		add(&p.credit)
	case "RvslInd":
		add(&p.reversal)
	case "Sts", "Sts/Cd", "Sts/Prtry":
		add(&p.status)
	case "BookgDt/Dt", "BookgDt/DtTm":
		add(&p.booked)
	case "ValDt/Dt", "ValDt/DtTm":
		add(&p.value)
	case "AcctSvcrRef", "Refs/AcctSvcrRef":
		add(&p.reference)
	case "NtryDtls/Btch/NbOfTxs":
		add(&p.payments)
	case "Refs/EndToEndId":
		add(&p.endToEnd)
	case "RmtInf/Ustrd", "RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Strd/AddtlRmtInf", "RmtInf/Strd/RfrdDocInf/Nb":
		p.keep(&p.remittance, text)
	case "AddtlTxInf", "AddtlNtryInf":
		p.keep(&p.fallback, text)
	case "RltdPties/Dbtr/Nm", "RltdPties/Dbtr":
		add(&p.debtor)
	case "RltdPties/Cdtr/Nm", "RltdPties/Cdtr":
		add(&p.creditor)
	}
}

// join adds to a text what is to follow without a blank: a comment or CDATA lies between.
func join(to *string, text string) {
	if len(*to) <= maxText {
		*to += text
	}
}

// keep adds to the last text, and keeps no more than is of use.
func (p *part) keep(to *[]string, text string) {
	if p.length += len(text); p.length > 4*maxText {
		return
	}
	if len(*to) == 0 {
		*to = append(*to, "")
	}
	last := &(*to)[len(*to)-1]
	if *last != "" {
		*last += " "
	}
	*last += text
}

// text is what stands with a payment.
func (p *part) text() string {
	var texts []string
	for _, text := range append(slices.Clone(p.remittance), Given(p.endToEnd)) {
		if text != "" && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		texts = p.fallback
	}
	return cut(strings.Join(texts, " "), maxText)
}

func (p *part) own(currency string) (amount string, given bool) {
	switch {
	case p.amount != "" && p.currency == currency:
		return p.amount, true
	case p.amount == "" && p.ownAmount != "" && p.ownCurrency == currency:
		return p.ownAmount, true
	case p.amount == "" && p.ownAmount == "" && p.instructed != "" && p.instructedCurrency == currency:
		return p.instructed, true
	}
	return "", false
}

// give gives an entry, or its payments one by one.
func (c *camt) give(whole part, details []part) error {
	switch whole.status {
	case "BOOK":
	case "":
		return malformed("it has no status (Sts)")
	default: // PDNG, INFO, FUTR, and what a bank calls otherwise
		c.pending.NotBooked++
		return nil
	}
	entry, err := c.made(whole)
	if err != nil {
		return err
	}
	if entry.Amount.IsZero() {
		c.pending.Zero++
		return nil
	}
	if len(details) < 2 {
		if n, err := strconv.Atoi(whole.payments); err == nil && n > 1 {
			entry.Batch = n
		}
		if len(details) == 1 {
			d := details[0]
			entry.Reference = firstOf(entry.Reference, Given(d.reference))
			entry.Payer = payer(d, entry.Amount)
			entry.Text = d.text()
		}
		if entry.Text == "" {
			entry.Text = whole.text()
		}
		return c.each(bounded(entry))
	}
	payments, complete := c.payments(entry, whole, details)
	if !complete {
		entry.Batch = len(details)
		var texts []string
		length := 0
		for _, d := range details {
			if length += len(d.text()) + 1; length > maxText {
				break
			}
			texts = append(texts, d.text())
		}
		entry.Text = strings.TrimSpace(strings.Join(texts, " "))
		return c.each(bounded(entry))
	}
	for _, payment := range payments {
		if payment.Amount.IsZero() {
			c.pending.Zero++
			continue
		}
		if err := c.each(bounded(payment)); err != nil {
			return err
		}
	}
	return nil
}

// payments returns those of a batch; false where their amounts are not there, or do not
// come to that of the entry.
func (c *camt) payments(entry Entry, whole part, details []part) ([]Entry, bool) {
	seen := map[string]int{}
	for _, d := range details {
		seen[Given(d.reference)]++
	}
	payments := make([]Entry, len(details))
	sum := decimal.Decimal{}
	for i, d := range details {
		text, there := d.own(entry.Currency)
		if !there {
			return nil, false
		}
		amount, err := parseAmount(text)
		if err != nil {
			return nil, false
		}
		if firstOf(d.credit, whole.credit) == "DBIT" {
			amount = amount.Neg()
		}
		p := entry
		p.Amount, p.Text, p.Payer = amount, firstOf(d.text(), whole.text()), payer(d, amount)
		// A reference that several have is that of the batch.
		switch own := Given(d.reference); {
		case own != "" && own != entry.Reference && seen[own] == 1:
			p.Reference = own
		case firstOf(entry.Reference, own) != "":
			p.Reference = firstOf(entry.Reference, own) + "/" + strconv.Itoa(i+1)
		}
		payments[i] = p
		sum = sum.Add(amount)
	}
	return payments, sum.Equal(entry.Amount)
}

// made is an entry as a whole.
func (c *camt) made(p part) (Entry, error) {
	e := Entry{Account: c.account, Reference: Given(p.reference), Currency: p.currency, Reversal: p.reversal == "true" || p.reversal == "1"}
	if len(e.Account) > 64 {
		return e, malformed("the account %q has more than 64 characters", shown(e.Account))
	}
	if len(e.Currency) != 3 || !isLetter(e.Currency[0]) || !isLetter(e.Currency[1]) || !isLetter(e.Currency[2]) {
		return e, malformed("its currency %q is none", shown(e.Currency))
	}
	var err error
	if e.Amount, err = parseAmount(p.amount); err != nil {
		return e, err
	}
	switch p.credit {
	case "CRDT":
	case "DBIT":
		e.Amount = e.Amount.Neg()
	default:
		return e, malformed("CdtDbtInd %q is neither CRDT nor DBIT", shown(p.credit))
	}
	if e.ValueOn, err = parseDay(p.value); err != nil {
		return e, err
	}
	if e.BookedOn, err = parseDay(firstOf(p.booked, p.value)); err != nil {
		return e, err
	}
	if e.BookedOn.IsZero() {
		return e, malformed("it has no day on which it was booked (BookgDt)")
	}
	return e, nil
}

func payer(p part, amount decimal.Decimal) string {
	if amount.IsNegative() {
		return cut(p.creditor, 200)
	}
	return cut(p.debtor, 200)
}

// parseAmount reads what ISO 20022 calls an amount: 18 digits at most, no sign.
func parseAmount(text string) (decimal.Decimal, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	if whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" || len(strings.TrimLeft(whole, "0")) > 15 || len(whole) > 30 || len(fraction) > 17 {
		return decimal.Decimal{}, malformed("its amount %q is none", shown(text))
	}
	if whole == "" {
		whole = "0"
	}
	d, err := decimal.NewFromString(strings.TrimSuffix(whole+"."+strings.TrimRight(fraction, "0"), "."))
	if err != nil {
		return d, malformed("its amount %q is none", shown(text))
	}
	return d, nil
}

// parseDay reads a date, or the local date of a time; none where there is none.
func parseDay(text string) (billing.Date, error) {
	if text == "" {
		return billing.Date{}, nil
	}
	day := text
	if len(day) > 10 && strings.ContainsRune("TZ+-", rune(day[10])) {
		day = day[:10]
	}
	d, err := billing.ParseDate(day)
	if err != nil {
		return d, malformed("its day %q is none", shown(text))
	}
	return d, nil
}

// bounded keeps of an entry what the table takes.
func bounded(e Entry) Entry {
	e.Text, e.Payer = cut(e.Text, maxText), cut(e.Payer, 200)
	e.Reference = cut(e.Reference, 150)
	return e
}

// clean is a text in one line, without what Postgres cannot keep.
func clean(text []byte) string {
	return OneLine(strings.ReplaceAll(strings.ToValidUTF8(string(text), "\ufffd"), "\x00", ""))
}

// OneLine is text without blanks around it, and with single ones within.
func OneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func cut(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most])
}

func shown(text string) string { return cut(text, 80) }

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
