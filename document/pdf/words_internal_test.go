package pdf

import (
	"reflect"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// Each language has every word that another has, in letters that can be printed.
func TestWordsAreComplete(t *testing.T) {
	t.Parallel()
	glyphs, err := printable()
	require.NoError(t, err)
	s := &sheet{printable: glyphs}
	for language, w := range languages {
		value := reflect.ValueOf(*w)
		for i := range value.NumField() {
			field := value.Type().Field(i).Name
			switch f := value.Field(i); f.Kind() { //nolint:exhaustive // there are no others
			case reflect.String:
				require.NotEmpty(t, f.String(), "%s: %s", language, field)
				require.Equal(t, f.String(), s.clean(f.String()), "%s: %s", language, field)
			case reflect.Array:
				for j := range f.Len() {
					require.NotEmpty(t, f.Index(j).String(), "%s: %s", language, field)
				}
			case reflect.Map:
				require.Equal(t, reflect.ValueOf(english).Field(i).Len(), f.Len(), "%s: %s", language, field)
			case reflect.Func:
				require.False(t, f.IsNil(), "%s: %s", language, field)
			case reflect.Bool:
			default:
				t.Fatalf("%s: %s is of another kind", language, field)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for language, c := range map[string]struct{ euros, yen, dollars, negative, rate, share, huge string }{
		"en": {"€1,234.50", "JPY\u00a01,234", "USD\u00a0999.00", "−€1,234.50", "0.00123", "5.5%", "12,345,678,901,234,567,890.12"},
		"de": {"1.234,50\u00a0€", "1.234\u00a0JPY", "999,00\u00a0USD", "−1.234,50\u00a0€", "0,00123", "5,5\u00a0%", "12.345.678.901.234.567.890,12"},
		"fr": {"1\u202f234,50\u00a0€", "1\u202f234\u00a0JPY", "999,00\u00a0USD", "−1\u202f234,50\u00a0€", "0,00123", "5,5\u202f%", "12\u202f345\u202f678\u202f901\u202f234\u202f567\u202f890,12"},
		"es": {"1.234,50\u00a0€", "1.234\u00a0JPY", "999,00\u00a0USD", "−1.234,50\u00a0€", "0,00123", "5,5\u00a0%", "12.345.678.901.234.567.890,12"},
	} {
		w := languages[language]
		d := decimal.RequireFromString
		require.Equal(t, c.euros, w.money(d("1234.5"), "EUR"), language)
		require.Equal(t, c.yen, w.money(d("1234"), "JPY"), language)
		require.Equal(t, c.dollars, w.money(d("999"), "USD"), language)
		require.Equal(t, c.negative, w.money(d("-1234.50"), "EUR"), language)
		require.Equal(t, c.rate, w.decimal(d("0.0012300"), 2), language)
		require.Equal(t, c.share, w.share(d("0.055")), language)
		require.Equal(t, c.huge, w.plain(d("12345678901234567890.12"), "EUR"), language)
		require.Equal(t, "0", w.decimal(decimal.Zero, 0), language)
		require.Equal(t, "100", w.decimal(d("1e2"), 0), language)
		require.Equal(t, "1"+w.point+"000", w.plain(d("1"), "KWD"), language)
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	first, last := billing.NewDate(2027, 3, 1), billing.NewDate(2027, 9, 30)
	for language, want := range map[string][4]string{
		"en": {"1\u00a0March\u00a02027", "30\u00a0September\u00a02027", "1\u00a0Mar\u00a02027", "30\u00a0Sep\u00a02027"},
		"de": {"1.\u00a0März\u00a02027", "30.\u00a0September\u00a02027", "01.03.2027", "30.09.2027"},
		"fr": {"1er\u00a0mars\u00a02027", "30\u00a0septembre\u00a02027", "01/03/2027", "30/09/2027"},
		"es": {"1\u00a0de\u00a0marzo\u00a0de\u00a02027", "30\u00a0de\u00a0septiembre\u00a0de\u00a02027", "01/03/2027", "30/09/2027"},
	} {
		w := languages[language]
		require.Equal(t, want, [4]string{w.date(w, first), w.date(w, last), w.inTable(first), w.inTable(last)})
		require.Empty(t, w.inTable(billing.Date{}))
	}
}

func TestIBANs(t *testing.T) {
	t.Parallel()
	require.Equal(t, "NO93\u00a08601\u00a01117\u00a0947", grouped("NO93 86011117947"))
}
