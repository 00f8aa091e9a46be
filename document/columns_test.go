package document_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/document"
)

func column(t require.TestingT, name string) document.Column {
	for _, columns := range [][]document.Column{document.IssuerColumns, document.CustomerColumns} {
		if c, known := document.ColumnNamed(columns, name); known {
			return c
		}
	}
	require.Fail(t, "no column "+name)
	return document.Column{}
}

func TestColumnsRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ column, text, want string }{
		{"street", "  Hauptstr. 1 ", "Hauptstr. 1"},
		{"street", "N/A", ""},
		{"name", "Flughafen Zürich AG", "Flughafen Zürich AG"},
		{"country", "ie", "IE"},
		{"country", "NA", "NA"},
		{"country", "n/a", ""},
		{"subdivision", "NA", "NA"}, // Naples
		{"vat_id", "de 123.456.789", "DE123456789"},
		{"vat_id", "IE6388047V", "IE6388047V"},
		{"vat_id", "ATU12345678", "ATU12345678"},
		{"vat_id", "EL123456789", "EL123456789"},
		{"vat_id", "XI123456789", "XI123456789"},
		{"vat_id", "NO 923 609 016 MVA", "NO923609016MVA"},
		{"vat_id", "CHE-123.456.789 MWST", "CHE123456789MWST"},
		{"vat_id", "NL004495445B01", "NL004495445B01"},
		{"vat_id", "US 12-3456789", "US123456789"},
		{"legal_id_scheme", "0002", "0002"},
		{"electronic_address_scheme", "em", "EM"},
		{"electronic_address_scheme", "0225", "0225"},
		{"emails", " a@acme.example ; b@acme.example;a@acme.example;", "a@acme.example;b@acme.example"},
		{"contact_email", "ap@acme.example", "ap@acme.example"},
		{"mail_from", "Port Air <bills@port.example>", "Port Air <bills@port.example>"},
		{"language", "DE", "de"},
		{"late_interest_rate", "0.080", "0.08"},
		{"late_interest_rate", "1", "1"},
		{"contact_phone", "+353 1 234 5678", "+353 1 234 5678"},
		{"iban", "ie29 AIBK 9311 5212 3456 78", "IE29AIBK93115212345678"},
		{"iban", "NO93 8601 1117 947", "NO9386011117947"},
		{"iban", "MT84MALT011000012345MTLCAST001S", "MT84MALT011000012345MTLCAST001S"},
		{"bic", "aibkie2dxxx", "AIBKIE2DXXX"},
		{"tax_currency", "eur", "EUR"},
	} {
		got, expected := column(t, c.column).Read(c.text)
		require.Empty(t, expected, "%+v", c)
		require.Equal(t, c.want, got, "%+v", c)
	}
}

func TestColumnsRefuse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ column, text, want string }{
		{"street", "1 Main\x07St", "without control characters"},
		{"street", "1 Main\nSt", "in one line"},
		{"street", "a\u009bb", "without control characters"},
		{"street", "a\xffb", "without control characters"},
		{"street", strings.Repeat("x", 201), "200 characters at most"},
		{"name", strings.Repeat("x", 1001), "1000 characters at most"},
		{"country", "UK", "two letters of ISO 3166"},
		{"country", "XI", "two letters of ISO 3166"},
		{"vat_id", "GR123456789", "write EL"},
		{"vat_id", "DE12345678", "write DE and what a VAT id"},
		{"vat_id", "123456789", "with its country before it"},
		{"vat_id", "XX123456789", "with its country before it"},
		{"vat_id", "D", "with its country before it"},
		{"vat_id", "NO923609016", "write NO"},
		{"legal_id_scheme", "0001", "ISO 6523"},
		{"legal_id_scheme", "0092", "ISO 6523"},
		{"legal_id_scheme", "9930", "ISO 6523"},
		{"electronic_address_scheme", "9906", "EAS"},
		{"emails", "a@acme.example, b@acme.example", "with ; between several"},
		{"emails", strings.Repeat("a@b.example;", 20) + strings.Join(numbered(21), ";"), "20 addresses at most"},
		{"contact_email", "acme.example", "an email address"},
		{"contact_email", "ap@acme", "an email address"},
		{"contact_email", "AP <ap@acme.example>", "an email address"},
		{"mail_from", "Port Air", "an email address"},
		{"language", "it", "en, de, fr or es"},
		{"late_interest_rate", "8", "8 % is 0.08"},
		{"late_interest_rate", "1.01", "8 % is 0.08"},
		{"late_interest_rate", "-0.1", "8 % is 0.08"},
		{"late_interest_rate", "8%", "8 % is 0.08"},
		{"late_interest_rate", "0.0000001", "6 decimals"},
		{"contact_phone", "call us", "a telephone number"},
		{"iban", "IE29AIBK93115212345679", "check digits"},
		{"iban", "IE29AIBK9311521234567", "IE with its 22 letters"},
		{"iban", "IE29AIBK9311521234567é", "IE with its 22 letters"},
		{"iban", "US29AIBK93115212345678", "begins with its country"},
		{"bic", "AIBKIE2", "8 or 11"},
		{"bic", "AIBKZZ2D", "8 or 11"},
		{"tax_currency", "EURO", "3 characters at most"},
		{"tax_currency", "DEM", "ISO 4217"},
	} {
		got, expected := column(t, c.column).Read(c.text)
		require.Contains(t, expected, c.want, "%+v", c)
		require.Empty(t, got)
	}
}

func numbered(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = string(rune('a'+i)) + "x@b.example"
	}
	return list
}

// What is kept is read as itself, and fits the tables.
func TestColumnsReadTwice(t *testing.T) {
	t.Parallel()
	for _, c := range append(document.CustomerColumns, document.IssuerColumns...) {
		rapid.Check(t, func(t *rapid.T) {
			text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z]{2}[0-9A-Z ]{0,22}`), rapid.StringMatching(`[01](\.[0-9]{1,7})?`),
				rapid.StringMatching(`[a-z]{2}@[a-z]{2}\.[a-z]{2}(; ?[a-z]{2}@[a-z]{2}\.[a-z]{2})?`), rapid.SampledFrom([]string{"IE6388047V", "DE89370400440532013000", "en", "0088", "EM"})).Draw(t, "text")
			value, expected := c.Read(text)
			if expected != "" {
				require.Empty(t, value)
				return
			}
			again, expected := c.Read(value)
			require.Empty(t, expected, "%s: %q", c.Name, value)
			require.Equal(t, value, again, c.Name)
			require.LessOrEqual(t, len([]rune(value)), c.Most)
		})
	}
}

func TestCheckTogether(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ id, scheme, column string }{ // column: what is wrong
		{"552100554", "0002", ""},
		{"552100553", "0002", "legal_id"},
		{"55210055400013", "0009", ""},
		{"35600000000048", "0009", ""},
		{"35600000049837", "0009", ""}, // La Poste: no Luhn
		{"35600000049838", "0009", "legal_id"},
		{"4035811991014", "0088", ""},
		{"4035811991015", "0088", "legal_id"},
		{"5567125082", "0007", ""},
		{"5567125083", "0007", "legal_id"},
		{"51824753556", "0151", ""},
		{"51824753557", "0151", "legal_id"},
		{"DK13585628", "0184", ""},
		{"1358562", "0184", "legal_id"},
		{"923609016", "0192", ""},
		{"923609017", "0192", "legal_id"},
		{"0202239951", "0208", ""},
		{"0202239952", "0208", "legal_id"},
		{"whatever", "0199", ""},
		{"whatever", "", ""},
		{"", "0002", "legal_id"},
		{"", "", ""},
	} {
		column, expected := document.CheckTogether(map[string]string{"legal_id": c.id, "legal_id_scheme": c.scheme})
		require.Equal(t, c.column, column, "%+v: %s", c, expected)
		require.Equal(t, c.column == "", expected == "")
	}
	for want, address := range map[string][2]string{
		"":                          {"ap@acme.example", "EM"},
		"electronic_address":        {"acme", "EM"},
		"electronic_address_scheme": {"acme", ""},
	} {
		column, _ := document.CheckTogether(map[string]string{"electronic_address": address[0], "electronic_address_scheme": address[1]})
		require.Equal(t, want, column)
	}
	column, _ := document.CheckTogether(map[string]string{"electronic_address_scheme": "EM"})
	require.Equal(t, "electronic_address", column)
}

func TestCheckLogo(t *testing.T) {
	t.Parallel()
	picture := func(width, height int) image.Image {
		p := image.NewGray(image.Rect(0, 0, width, height))
		p.Set(1, 1, color.White)
		return p
	}
	var asPNG, asJPEG, large bytes.Buffer
	require.NoError(t, png.Encode(&asPNG, picture(8, 8)))
	require.NoError(t, jpeg.Encode(&asJPEG, picture(8, 8), nil))
	require.NoError(t, png.Encode(&large, picture(2001, 2000)))
	require.NoError(t, document.CheckLogo(asPNG.Bytes()))
	require.NoError(t, document.CheckLogo(asJPEG.Bytes()))
	require.ErrorContains(t, document.CheckLogo(large.Bytes()), "2001 × 2000 pixels")
	require.ErrorContains(t, document.CheckLogo(asPNG.Bytes()[:40]), "damaged")
	require.ErrorContains(t, document.CheckLogo([]byte("GIF89a")), "neither PNG nor JPEG")
	require.ErrorContains(t, document.CheckLogo(nil), "neither PNG nor JPEG")
	require.ErrorContains(t, document.CheckLogo(make([]byte, document.MaxLogo+1)), "more than 200000 bytes")
}
