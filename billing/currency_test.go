package billing_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/flightbill/flightbill/billing"
)

func TestMinorUnits(t *testing.T) {
	t.Parallel()

	for currency, want := range map[string]int32{
		"EUR": 2, "USD": 2, "GBP": 2, "CHF": 2, "HUF": 2, "MGA": 2, "XCD": 2, "XCG": 2, "ZWG": 2, "SLE": 2,
		"JPY": 0, "KRW": 0, "ISK": 0, "CLP": 0, "VND": 0, "XOF": 0, "XPF": 0,
		"KWD": 3, "BHD": 3, "TND": 3, "OMR": 3, "CLF": 4, "UYW": 4,
	} {
		got, ok := billing.MinorUnits(currency)
		assert.True(t, ok, currency)
		assert.Equal(t, want, got, currency)
	}
	// Not codes, withdrawn ones, and those without a minor unit.
	for _, currency := range []string{"", "eur", "EURO", "BTC", "ABC", "HRK", "BGN", "ANG", "ZWL", "XAU", "XDR", "XXX", "XTS"} {
		_, ok := billing.MinorUnits(currency)
		assert.False(t, ok, currency)
	}
}

// TestCurrencyTableIsComplete counts: list one as of its amendment 180 has 165
// codes that have a minor unit.
func TestCurrencyTableIsComplete(t *testing.T) {
	t.Parallel()

	counts := map[int32]int{}
	for code := range 26 * 26 * 26 {
		currency := string([]byte{byte('A' + code/676), byte('A' + code/26%26), byte('A' + code%26)})
		if places, ok := billing.MinorUnits(currency); ok {
			counts[places]++
		}
	}
	assert.Equal(t, map[int32]int{0: 17, 2: 139, 3: 7, 4: 2}, counts)
}
