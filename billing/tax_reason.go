package billing

import (
	"fmt"
	"slices"
	"strings"
)

// reasonCode begins a reason that is a code of the list VATEX, and no words.
const reasonCode = "VATEX-"

// reasonCodes are the list, as BR-CL-22 of EN 16931 has it (May 2025), without the prefix.
var reasonCodes = strings.Fields(`
	EU-79-C EU-132 EU-132-1A EU-132-1B EU-132-1C EU-132-1D EU-132-1E EU-132-1F EU-132-1G EU-132-1H EU-132-1I EU-132-1J EU-132-1K EU-132-1L EU-132-1M EU-132-1N
	EU-132-1O EU-132-1P EU-132-1Q EU-143 EU-143-1A EU-143-1B EU-143-1C EU-143-1D EU-143-1E EU-143-1F EU-143-1FA EU-143-1G EU-143-1H EU-143-1I EU-143-1J EU-143-1K
	EU-143-1L EU-144 EU-146-1E EU-148 EU-148-A EU-148-B EU-148-C EU-148-D EU-148-E EU-148-F EU-148-G EU-151 EU-151-1A EU-151-1AA EU-151-1B EU-151-1C EU-151-1D
	EU-151-1E EU-153 EU-159 EU-309 EU-AE EU-D EU-F EU-G EU-I EU-IC EU-J EU-O
	FR-298SEXDECIESA FR-AE FR-CGI261-1 FR-CGI261-2 FR-CGI261-3 FR-CGI261-4 FR-CGI261-5 FR-CGI261-7 FR-CGI261-8 FR-CGI261A FR-CGI261B FR-CGI261C-1 FR-CGI261C-2
	FR-CGI261C-3 FR-CGI261D-1 FR-CGI261D-1BIS FR-CGI261D-2 FR-CGI261D-3 FR-CGI261D-4 FR-CGI261E-1 FR-CGI261E-2 FR-CGI275 FR-CGI277A FR-CGI295 FR-CNWVAT
	FR-FRANCHISE`)

// reasonOf is what EN 16931 asks of a category: a reason, and which.
var reasonOf = map[TaxCategory]struct{ rule, code, what string }{
	TaxExempt:        {"BR-E-10", "VATEX-EU-148-G", "for the needs of aircraft of international air traffic"},
	TaxReverseCharge: {"BR-AE-10", "VATEX-EU-AE", "reverse charge"},
	TaxExport:        {"BR-G-10", "VATEX-EU-G", "export outside the EU"},
	TaxOutside:       {"BR-O-10", "VATEX-EU-O", "outside the scope of VAT"},
}

// TaxReasonMisfit says what an e-invoice would not be taken for because of the tariff's
// tax_reason, or "". Other invoices may do without.
func (t *Tariff) TaxReasonMisfit() string {
	needs, needed := reasonOf[t.TaxCategory]
	code, isCode := strings.CutPrefix(upperASCII(t.TaxReason), reasonCode)
	switch {
	case needed && t.TaxReason == "":
		return fmt.Sprintf("tax_reason is empty, and an e-invoice with tax_category %s needs one (%s): write it in words, or a code such as %s (%s)",
			t.TaxCategory, needs.rule, needs.code, needs.what)
	case t.TaxCategory == TaxZero && t.TaxReason != "":
		return fmt.Sprintf("tax_reason %q is not allowed on an e-invoice with tax_category zero (BR-Z-10): leave it empty, or write tax_category exempt", shortened(t.TaxReason))
	case isCode && (reasonCode+code != t.TaxReason || !slices.Contains(reasonCodes, code)):
		return fmt.Sprintf("tax_reason %q is not in the list of codes VATEX (BR-CL-22): correct it, or write the reason in words", shortened(t.TaxReason))
	}
	for category, of := range reasonOf {
		if category != TaxExempt && of.code == t.TaxReason && category != t.TaxCategory {
			return fmt.Sprintf("tax_reason %s goes with tax_category %s, and not with %s: correct one of the two", t.TaxReason, category, t.TaxCategory)
		}
	}
	return ""
}
