package document

import (
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
)

// Column is one of the columns of master data: of the tables customers and issuers, of
// their files, and of the command that sets the issuer.
type Column struct {
	Name string
	// Most is the most characters that it has; the tables have the same.
	Most int
	read func(text string) (value, expected string)
}

// Read returns what is kept of text, "" where it only says that there is nothing; or,
// where it cannot be used, what is to be written instead.
func (c Column) Read(text string) (value, expected string) {
	if c.Name == "country" || c.Name == "subdivision" { // NA is Namibia, and Naples
		text = billing.CleanCountry(text)
	} else {
		text = billing.CleanText(text)
	}
	switch {
	case text == "":
		return "", ""
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return "", "write it in one line, without control characters"
	case utf8.RuneCountInString(text) > c.Most:
		return "", fmt.Sprintf("write %d characters at most", c.Most)
	case c.read == nil:
		return text, ""
	}
	return c.read(text)
}

const (
	maxLine = 200
	maxID   = 64
	maxText = 1000
	maxMail = 254 // RFC 5321
)

// partyColumns are those of both.
var partyColumns = []Column{
	{"street", maxLine, nil},
	{"city", maxLine, nil},
	{"postcode", maxID, nil},
	{"subdivision", maxLine, nil},
	{"country", 2, readCountry},
	{"vat_id", maxID, readVATID},
	{"legal_id", maxID, nil},
	{"legal_id_scheme", 4, readIDScheme},
	{"electronic_address", maxMail, nil},
	{"electronic_address_scheme", 4, readAddressScheme},
}

// CustomerColumns are those of customers that say what stands on their invoices.
var CustomerColumns = slices.Concat([]Column{{"legal_name", maxText, nil}}, partyColumns, []Column{
	{"buyer_reference", maxLine, nil},
	{"emails", maxText, readEmails},
	{"language", 2, readLanguage},
	{"late_interest_rate", maxID, readInterest},
})

// IssuerColumns are those of the issuer, but its logo.
var IssuerColumns = slices.Concat([]Column{{"name", maxText, nil}}, partyColumns, []Column{
	{"tax_registration", maxID, nil},
	{"contact_name", maxLine, nil},
	{"contact_phone", maxID, readPhone},
	{"contact_email", maxMail, readEmail},
	{"mail_from", maxLine, readMailFrom},
	{"iban", maxID, readIBAN},
	{"bic", 11, readBIC},
	{"account_name", maxLine, nil},
	{"tax_currency", 3, readCurrency},
	{"language", 2, readLanguage},
	{"note", maxText, nil},
})

// ColumnNamed returns one of some columns.
func ColumnNamed(columns []Column, name string) (c Column, known bool) {
	i := slices.IndexFunc(columns, func(c Column) bool { return c.Name == name })
	if i < 0 {
		return Column{}, false
	}
	return columns[i], true
}

// CheckTogether says what is wrong with values that are right each by itself: in which
// column, and what is to be written there. Empty: nothing is.
func CheckTogether(values map[string]string) (column, expected string) {
	legal, address := values["legal_id_scheme"], values["electronic_address_scheme"]
	switch {
	case legal != "" && values["legal_id"] == "":
		return "legal_id", "write the id too that legal_id_scheme " + legal + " gives, or take the scheme away"
	case address != "" && values["electronic_address"] == "":
		return "electronic_address", "write the address too that electronic_address_scheme " + address + " gives, or take the scheme away"
	case address == "" && values["electronic_address"] != "":
		return "electronic_address_scheme", expectedAddressScheme
	}
	for _, id := range []struct{ column, scheme string }{{"legal_id", legal}, {"electronic_address", address}} {
		if form, known := idForms[id.scheme]; known && !form.valid(values[id.column]) {
			return id.column, fmt.Sprintf("write %s without blanks, which %s_scheme %s says that it is, or correct the scheme", form.what, id.column, id.scheme)
		}
	}
	return "", ""
}

// compact is what people write with blanks, dots and hyphens in it, without them.
func compact(text string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "\u00a0", "", ".", "", "-", "", "/", "").Replace(text))
}

func readCountry(text string) (value, expected string) {
	if code := strings.ToUpper(text); slices.Contains(countries, code) {
		return code, ""
	}
	return "", "write the country's two letters of ISO 3166, such as IE"
}

func readVATID(text string) (value, expected string) {
	id := compact(text)
	prefix := id[:min(len(id), 2)]
	form, known := vatForms[prefix]
	switch {
	case prefix == "GR":
		return "", "write EL before a Greek VAT id"
	case known && !regexp.MustCompile("^"+form+"$").MatchString(id[2:]):
		return "", fmt.Sprintf("write %s and what a VAT id of there has after it (%s)", prefix, form)
	case !known && (!slices.Contains(countries, prefix) || !regexp.MustCompile("^[A-Z0-9]{2,20}$").MatchString(id[2:])):
		return "", "write it with its country before it, such as IE6388047V"
	}
	return id, ""
}

func readIDScheme(text string) (value, expected string) {
	if isIDScheme(text) {
		return text, ""
	}
	return "", "write a code of ISO 6523, 0002 to 0240, such as 0002 for SIREN or 0088 for GLN"
}

const expectedAddressScheme = "write the code of the Electronic Address Scheme (EAS), such as 0088 for GLN, 9930 for a German VAT id or EM for email"

func readAddressScheme(text string) (value, expected string) {
	if code := strings.ToUpper(text); slices.Contains(addressSchemes, code) {
		return code, ""
	}
	return "", expectedAddressScheme
}

func readEmails(text string) (value, expected string) {
	var list []string
	for address := range strings.SplitSeq(text, ";") {
		address = strings.TrimSpace(address)
		switch {
		case address == "" || slices.Contains(list, address):
		case !isEmail(address):
			return "", "write email addresses, with ; between several: accounts@acme.example; ops@acme.example"
		default:
			list = append(list, address)
		}
	}
	const most = 20
	if len(list) > most {
		return "", fmt.Sprintf("write %d addresses at most", most)
	}
	return strings.Join(list, ";"), ""
}

func readEmail(text string) (value, expected string) {
	if isEmail(text) {
		return text, ""
	}
	return "", "write an email address, such as accounts@acme.example"
}

func readMailFrom(text string) (value, expected string) {
	if address, err := mail.ParseAddress(text); err == nil && isEmail(address.Address) {
		return text, ""
	}
	return "", "write an email address, such as billing@airport.example or Airport <billing@airport.example>"
}

// isEmail tells a plain address whose domain has a dot in it. DE-R-028 of Peppol asks for two
// characters on each side of the @.
func isEmail(text string) bool {
	address, err := mail.ParseAddress(text)
	if err != nil || address.Address != text || len(text) > maxMail || strings.ContainsAny(text, "\" ,;") {
		return false
	}
	domain := text[strings.LastIndexByte(text, '@')+1:]
	return strings.Contains(domain, ".") && !strings.HasPrefix(domain, ".") && !strings.HasSuffix(domain, ".")
}

func readLanguage(text string) (value, expected string) {
	switch code := strings.ToLower(text); code {
	case "en", "de", "fr", "es":
		return code, ""
	}
	return "", "write en, de, fr or es"
}

var (
	interestForm = regexp.MustCompile(`^[01](\.[0-9]{1,6})?$`)
	one          = decimal.New(1, 0)
)

func readInterest(text string) (value, expected string) {
	if interestForm.MatchString(text) {
		if rate := decimal.RequireFromString(text); rate.LessThanOrEqual(one) {
			return rate.String(), ""
		}
	}
	return "", "write a fraction a year, 0 to 1 with 6 decimals at most: 8 % is 0.08; nothing where no interest is charged"
}

var digitForm = regexp.MustCompile(`[0-9]`)

func readPhone(text string) (value, expected string) {
	const least = 3 // DE-R-027 of Peppol
	if len(digitForm.FindAllString(text, least)) == least {
		return text, ""
	}
	return "", "write a telephone number, such as +353 1 234 5678"
}

func readIBAN(text string) (value, expected string) {
	iban := compact(text)
	length, known := ibanLengths[iban[:min(len(iban), 2)]]
	switch {
	case !known:
		return "", "write an IBAN, which begins with its country, such as IE29 AIBK 9311 5212 3456 78"
	case len(iban) != length || strings.Trim(iban, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return "", fmt.Sprintf("write an IBAN of %s with its %d letters and digits", iban[:2], length)
	case mod97(iban) != 1:
		return "", "correct it: its check digits do not fit the rest"
	}
	return iban, ""
}

// mod97 is the check of ISO 13616.
func mod97(iban string) int {
	var number strings.Builder
	for _, r := range iban[4:] + iban[:4] {
		if r >= 'A' {
			fmt.Fprint(&number, r-'A'+10)
		} else {
			number.WriteRune(r)
		}
	}
	return remainder(number.String(), 97)
}

var bicForm = regexp.MustCompile(`^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$`)

func readBIC(text string) (value, expected string) {
	bic := strings.ToUpper(text)
	if bicForm.MatchString(bic) && (slices.Contains(countries, bic[4:6]) || bic[4:6] == "XK") {
		return bic, ""
	}
	return "", "write a BIC of 8 or 11 letters and digits, such as AIBKIE2D"
}

func readCurrency(text string) (value, expected string) {
	code := strings.ToUpper(text)
	if _, ok := billing.MinorUnits(code); ok {
		return code, ""
	}
	return "", "write an ISO 4217 code in use, such as EUR"
}
