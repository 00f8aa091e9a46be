package pdf

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	_ "image/jpeg" // logos are of these kinds
	"image/png"
	"slices"
	"strings"

	"codeberg.org/go-pdf/fpdf"
	"github.com/shopspring/decimal"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/document"
)

const (
	secondColumn = 122.0
	valueColumn  = 151.0
)

// invoice writes the part that says what is owed.
func (s *sheet) invoice() {
	s.sender()
	s.addressAndFacts()
	s.y += 5
	s.paragraph(left, s.wrap(title, width, s.title()+" "+s.inv.Number))
	s.y++
	s.corrects()
	s.y += 2
	s.lines()
	s.totals()
	s.payment()
}

// title is what the document calls itself.
func (s *sheet) title() string {
	if s.inv.CreditNote {
		return s.creditNote
	}
	return s.words.invoice
}

// signed has an amount as it reads: a credit note's say how much is credited, above 0.
func (s *sheet) signed(d decimal.Decimal) decimal.Decimal {
	if s.inv.CreditNote {
		return d.Neg()
	}
	return d
}

// sender writes the logo, or else the name, and beside it who that is.
func (s *sheet) sender() {
	var who []line
	add := func(st style, text string) { who = append(who, s.wrap(st, right-secondColumn, text)...) }
	add(strong, s.inv.Issuer.Name)
	for _, text := range s.address(s.inv.Issuer.Party) {
		add(small, text)
	}
	for _, id := range s.ids(s.inv.Issuer.Party) {
		add(small, id[0]+" "+id[1])
	}
	add(small, s.joined(" · ", s.inv.Issuer.ContactPhone, s.inv.Issuer.ContactEmail))
	var brandLines []line
	height := s.logo()
	if height == 0 {
		brandLines = s.wrap(brand, secondColumn-left-8, s.inv.Issuer.Name)
	}
	if len(brandLines) > 2 { //nolint:mnd // it stands beside
		brandLines = nil
	}
	below := s.y + height
	s.beside(left, brandLines, secondColumn, who)
	if s.pdf.PageNo() == 1 {
		s.y = max(s.y, below)
	}
	s.y += 4
	s.hairline(s.y, accent, 0.6)
	s.y += 7
}

// logo draws the issuer's logo and returns its height: 0 where there is none that can be
// drawn. It is written anew, as 8 bits of red, green and blue on white: what else files
// have, transparency and the colours of print, an archive does not take.
func (s *sheet) logo() (height float64) {
	const maxWidth, maxHeight = 62.0, 24.0
	config, _, err := image.DecodeConfig(bytes.NewReader(s.inv.Issuer.Logo))
	if err != nil || config.Width < 1 || config.Height < 1 || config.Width*config.Height > document.MaxLogoPixels {
		return 0
	}
	picture, _, err := image.Decode(bytes.NewReader(s.inv.Issuer.Logo))
	if err != nil {
		return 0
	}
	flat := image.NewRGBA(picture.Bounds())
	draw.Draw(flat, flat.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(flat, flat.Bounds(), picture, picture.Bounds().Min, draw.Over)
	var file bytes.Buffer
	if err := png.Encode(&file, flat); err != nil { // without an alpha channel, since nothing shines through
		return 0
	}
	w, h := maxWidth, maxWidth*float64(config.Height)/float64(config.Width)
	if h > maxHeight {
		w, h = maxHeight*float64(config.Width)/float64(config.Height), maxHeight
	}
	options := fpdf.ImageOptions{ImageType: "png"}
	s.pdf.RegisterImageOptionsReader("logo", options, &file)
	s.pdf.ImageOptions("logo", left, s.y, w, h, false, options, 0, "")
	return h
}

// address is where a party is: street, town, country.
func (s *sheet) address(p document.Party) []string {
	town := s.joined(" ", p.Postcode, p.City)
	if slices.Contains([]string{"AU", "CA", "GB", "IE", "IN", "NZ", "SG", "US", "ZA"}, p.Country) {
		town = s.joined(" ", s.joined(", ", p.City, p.Subdivision), p.Postcode)
	} else {
		town = s.joined(", ", town, p.Subdivision)
	}
	lines := []string{p.Street, town}
	if region, err := language.ParseRegion(p.Country); err == nil {
		lines = append(lines, display.Regions(language.Make(s.inv.BillTo.Language)).Name(region))
	} else {
		lines = append(lines, p.Country)
	}
	return slices.DeleteFunc(lines, func(text string) bool { return text == "" })
}

// ids are the numbers that authorities gave a party, each with its name.
func (s *sheet) ids(p document.Party) [][2]string {
	var ids [][2]string
	for _, id := range [][2]string{{s.vatID, p.VATID}, {s.taxNumber, p.TaxRegistration}, {s.legalID, p.LegalID}} {
		if s.joined("", id[1]) != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// addressAndFacts writes who is to pay, beside the document's number and days.
func (s *sheet) addressAndFacts() {
	payer := s.wrap(label, secondColumn-left-8, s.billTo)
	payer = append(payer, s.wrap(name, secondColumn-left-8, s.inv.BillTo.Name)...)
	for _, text := range s.address(s.inv.BillTo) {
		payer = append(payer, s.wrap(body, secondColumn-left-8, text)...)
	}
	for _, id := range s.ids(s.inv.BillTo) {
		payer = append(payer, s.wrap(body, secondColumn-left-8, id[0]+" "+id[1])...)
	}
	facts := [][2]string{{s.number, s.inv.Number}, {s.issued, s.date(s.words, s.inv.IssuedOn)}}
	if !s.inv.From.IsZero() {
		facts = append(facts, [2]string{s.period, s.between()})
	}
	if !s.inv.DueOn.IsZero() && !s.inv.CreditNote {
		facts = append(facts, [2]string{s.due, s.date(s.words, s.inv.DueOn)})
	}
	if reference := s.inv.BillTo.BuyerReference; reference != "" && reference != s.inv.BillTo.Code {
		facts = append(facts, [2]string{s.reference, reference})
	}
	if s.inv.BillTo.Code != "" {
		facts = append(facts, [2]string{s.customer, s.inv.BillTo.Code})
	}
	facts = append(facts, [2]string{s.currency, s.inv.Currency})
	var labels, values []line
	for _, fact := range facts {
		l, v := s.wrap(label, valueColumn-secondColumn-gap, fact[0]), s.wrap(body, right-valueColumn, fact[1])
		n := max(len(l), len(v))
		labels = append(labels, padded(l, n, label)...)
		values = append(values, padded(v, n, body)...)
	}
	// Three columns; the middle one's lines are as high as the right one's.
	for i := range max(len(payer), len(labels)) {
		height := body.height
		if i < len(payer) {
			height = max(height, payer[i].style.height)
		}
		s.need(height)
		if i < len(payer) {
			s.write(left, s.y, payer[i])
		}
		if i < len(labels) {
			s.write(secondColumn, s.y, labels[i])
			s.write(valueColumn, s.y, values[i])
		}
		s.y += height
	}
}

func padded(lines []line, n int, st style) []line {
	for len(lines) < n {
		lines = append(lines, line{"", st})
	}
	return lines
}

// between is the period of the charges.
func (s *sheet) between() string {
	from, to := s.inTable(s.inv.From), s.inTable(s.inv.To)
	if from == to || s.inv.To.IsZero() {
		return from
	}
	return from + " – " + to
}

// corrects says which document this one takes back, and why there is this one.
func (s *sheet) corrects() {
	var text string
	if c := s.inv.Credits; c != nil {
		format := s.takesBackCreditNote
		if s.inv.CreditNote {
			format = s.takesBackInvoice
		}
		text = fmt.Sprintf(format, c.Number, s.date(s.words, c.IssuedOn))
	}
	s.paragraph(left, s.wrap(body, width, text))
	if s.inv.Reason != "" {
		s.paragraph(left, s.wrap(body, width, s.reason+": "+s.inv.Reason))
	}
}

// lines writes a line for each tariff.
func (s *sheet) lines() {
	inCurrency := func(text string) string { return text + " (" + s.inv.Currency + ")" }
	cs := columns(
		column{title: s.description, w: 66}, column{title: s.quantity, w: 24, right: true}, column{title: s.unit, w: 15},
		column{title: inCurrency(s.rate), w: 25, right: true}, column{title: s.taxName(), w: 14, right: true},
		column{title: inCurrency(s.amount), w: 28, right: true},
	)
	s.table(cs)
	digits, _ := billing.MinorUnits(s.inv.Currency)
	for _, l := range s.inv.Lines {
		cells := make([][]line, len(cs))
		put := func(i int, st style, text string) { cells[i] = append(cells[i], s.wrap(st, cs[i].w-gap, text)...) }
		put(0, body, l.Description)
		put(0, small, s.joined(" · ", l.Code, s.howMany(l.Charges), s.marked(l.Correction, false)))
		put(1, body, s.decimal(s.signed(l.Quantity), 0))
		put(2, body, s.unitOf(l.UnitCode))
		put(3, body, s.decimal(l.UnitRate, digits))
		put(4, body, s.share(l.TaxRate))
		put(5, body, s.plain(s.signed(l.Amount), s.inv.Currency))
		s.row(cs, cells, 0.9)
	}
	s.endTable()
}

func (s *sheet) howMany(charges int) string {
	switch charges {
	case 0:
		return ""
	case 1:
		return "1 " + s.charge
	default:
		return s.decimal(decimal.NewFromInt(int64(charges)), 0) + " " + s.charges
	}
}

// marked says what is special about a charge.
func (s *sheet) marked(correction, late bool) string {
	switch {
	case correction:
		return s.correction
	case late:
		return s.late
	default:
		return ""
	}
}

func (s *sheet) unitOf(code string) string {
	if unit, known := s.units[code]; known {
		return unit
	}
	return code
}

// taxName is how the issuer's tax is called.
func (s *sheet) taxName() string {
	if s.inv.Issuer.VATID == "" {
		return s.tax[1]
	}
	return s.tax[0]
}

// totals writes the sums, the tax by category and rate, and why what is not taxed is not.
func (s *sheet) totals() {
	const x, amountWidth = 82.0, 34.0
	cs := []column{{x: x, w: right - x - amountWidth}, {x: right - amountWidth, w: amountWidth, right: true}}
	sum := func(st style, text, amount string) {
		cells := [][]line{s.wrap(st, cs[0].w-gap, text), s.wrap(st, cs[1].w-gap, amount)}
		s.need(heightOf(cells))
		s.cells(cs, cells, s.y)
		s.y += heightOf(cells)
	}
	s.y += 2.5
	sum(body, s.subtotal, s.money(s.signed(s.inv.Subtotal), s.inv.Currency))
	for _, t := range s.inv.Taxes {
		text := s.joined(" ", s.taxName(), s.share(t.Rate))
		if category := s.categories[t.Category]; category != "" {
			text += " (" + category + ")"
		}
		text += " " + s.taxOn + " " + s.money(s.signed(t.Base), s.inv.Currency)
		sum(body, text, s.money(s.signed(t.Tax), s.inv.Currency))
	}
	s.y++
	total := style{11, 6, true, colour{255, 255, 255}}
	cells := [][]line{s.wrap(total, cs[0].w-gap, s.total), s.wrap(total, cs[1].w+20, s.money(s.signed(s.inv.Total), s.inv.Currency))}
	cs[0].w -= 22
	s.need(heightOf(cells) + 2)
	s.fill(x, s.y, right-x, heightOf(cells)+2, accent)
	s.cells(cs, cells, s.y+1)
	s.y += heightOf(cells) + 4
	if c := s.inv.TaxCurrency; c != "" && !s.inv.OutsideScope {
		s.paragraph(x+gap/2, s.wrap(small, right-x-gap, s.inOtherCurrency(c)))
	}
	s.y++
	for _, t := range s.inv.Taxes {
		if text := s.why(t); text != "" {
			s.paragraph(left, s.wrap(small, width, text))
		}
	}
}

// inOtherCurrency is the tax in the currency in which the issuer declares it.
func (s *sheet) inOtherCurrency(currency string) string {
	if s.inv.TaxCurrencyRate == nil {
		return fmt.Sprintf(s.noRate, s.taxName(), currency)
	}
	digits, _ := billing.MinorUnits(currency)
	amount := s.signed(s.inv.Tax).Mul(*s.inv.TaxCurrencyRate).Round(digits)
	rate := fmt.Sprintf(s.inTaxCurrency, s.taxName(), currency, "1"+nbsp+s.inv.Currency, s.decimal(s.inv.TaxCurrencyRate.Round(8), 0)+nbsp+currency)
	return rate + ": " + s.money(amount, currency)
}

// why says why something is not taxed as usual: what the tariff says, or the words for
// its code, and the code.
func (s *sheet) why(t document.Tax) string {
	if t.Category == billing.TaxStandard || t.Category == billing.TaxZero {
		return t.Reason
	}
	reason, isCode := strings.CutPrefix(strings.ToUpper(t.Reason), "VATEX-EU-")
	article, _, _ := strings.Cut(reason, "-")
	switch words := s.reasons[article]; {
	case isCode && words != "":
		return words + " (" + t.Reason + ")"
	case t.Category == billing.TaxReverseCharge && !strings.Contains(t.Reason, s.reasons["AE"]): // the law's own words
		return s.joined(". ", s.reasons["AE"], t.Reason)
	case t.Reason != "":
		return t.Reason
	default:
		return "" // its category stands beside the sum
	}
}

// payment says how to pay, or that there is nothing to.
func (s *sheet) payment() {
	total := s.money(s.signed(s.inv.Total), s.inv.Currency)
	text := fmt.Sprintf(s.pay, total, s.date(s.words, s.inv.DueOn))
	owed := s.inv.Total.IsPositive() && !s.inv.CreditNote
	switch {
	case owed && s.inv.DueOn.IsZero():
		text = fmt.Sprintf(s.payLater, total)
	case s.inv.Total.IsZero():
		text = s.nothingToPay
	case !owed:
		text = fmt.Sprintf(s.inYourFavour, s.money(s.inv.Total.Abs(), s.inv.Currency))
	}
	lines := s.wrap(strong, width-8, text)
	if owed {
		for _, fact := range [][2]string{
			{"IBAN", grouped(s.inv.Issuer.IBAN)},
			{"BIC", s.inv.Issuer.BIC},
			{s.account, s.inv.Issuer.AccountName},
			{s.paymentReference, s.inv.Number},
		} {
			if value := s.joined("", fact[1]); value != "" {
				lines = append(lines, s.wrap(body, width-8, fact[0]+":  "+value)...)
			}
		}
	}
	issuer := s.inv.Issuer
	if contact := s.joined(", ", issuer.ContactName, issuer.ContactPhone, issuer.ContactEmail); contact != "" {
		lines = append(lines, s.wrap(small, width-8, s.contact+": "+contact)...)
	}
	s.y += 4
	if height := heightOf([][]line{lines}); height < bottom-top {
		s.need(height + 4)
	}
	s.y += 2
	for _, l := range lines {
		s.need(l.style.height)
		s.fill(left, s.y, 1.2, l.style.height+0.2, accent) // no gap between two
		s.write(left+4, s.y, l)
		s.y += l.style.height
	}
	s.y += 3
	for note := range strings.SplitSeq(issuer.Note, "\n") {
		s.paragraph(left, s.wrap(small, width, note))
	}
}

// joined joins what is not empty, as it is printed.
func (s *sheet) joined(between string, texts ...string) string {
	var printed []string
	for _, text := range texts {
		if text = strings.TrimSpace(s.clean(text)); text != "" {
			printed = append(printed, text)
		}
	}
	return strings.Join(printed, between)
}
