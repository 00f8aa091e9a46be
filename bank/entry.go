package bank

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
)

// Entry is money that came to an account, or went from it.
type Entry struct {
	Account   string // IBAN, or what the bank calls it; "": not known
	BookedOn  billing.Date
	ValueOn   billing.Date    // no date: the bank has none
	Amount    decimal.Decimal // below 0: it went
	Currency  string          // ISO 4217
	Text      string          // what the payer wrote, and what else the bank has of it
	Payer     string
	Reference string // the bank's; "": it gives none
	Reversal  bool   // the bank takes an earlier entry back
	Batch     int    // of how many payments it is the sum, where the file has no amount for each; 0: it is one
}

// MadeReference is what an entry without a reference of the bank's is known by: the same
// whenever the bank gives the same entry again.
func (e Entry) MadeReference() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		e.BookedOn.String(), e.ValueOn.String(), e.Amount.String(), e.Currency, e.Text, e.Payer,
	}, "\x00")))
	return "none:" + hex.EncodeToString(sum[:12])
}

// noReferences are what banks write where they have no reference.
var noReferences = []string{"NOTPROVIDED", "NOT PROVIDED", "NONREF", "NOREF", "NONE", "N/A", "NA"}

// Given is a reference, unless it says that there is none.
func Given(reference string) string {
	reference = billing.CleanText(reference)
	if strings.Trim(reference, "0-") == "" {
		return ""
	}
	for _, none := range noReferences {
		if strings.EqualFold(reference, none) {
			return ""
		}
	}
	return reference
}

// Account is an account number as it is compared: an IBAN without blanks.
func Account(written string) string {
	return strings.ToUpper(strings.Join(strings.Fields(written), ""))
}

// IsIBAN reports whether an account number is an IBAN, by its form and check digits.
func IsIBAN(account string) bool {
	return len(account) >= 15 && len(account) <= 34 && isLetter(account[0]) && isLetter(account[1]) && checksOut(account)
}

func isLetter(c byte) bool { return 'A' <= c && c <= 'Z' }

// checksOut tells whether the digits behind the first two letters check the rest, as in an
// IBAN and in a creditor reference (ISO 7064, MOD 97-10).
func checksOut(text string) bool {
	if len(text) < 5 {
		return false
	}
	rest := 0
	for _, c := range []byte(text[4:] + text[:4]) {
		switch {
		case '0' <= c && c <= '9':
			rest = (rest*10 + int(c-'0')) % 97
		case isLetter(c):
			rest = (rest*100 + int(c-'A') + 10) % 97
		default:
			return false
		}
	}
	return rest == 1
}
