package document_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/document"
)

func columnsOf(gaps []document.Gap) []string {
	columns := []string{}
	for _, g := range gaps {
		columns = append(columns, g.Column)
	}
	return columns
}

func TestIssuerGaps(t *testing.T) {
	t.Parallel()
	standard := []billing.TaxCategory{billing.TaxStandard}
	require.Equal(t, []string{"name"}, columnsOf(document.IssuerGaps(nil, standard)))
	of := func(country string, categories []billing.TaxCategory, change ...func(*document.Issuer)) []string {
		i := document.Issuer{}
		i.Name, i.Country = "Port Air", country
		for _, c := range change {
			c(&i)
		}
		return columnsOf(document.IssuerGaps(&i, categories))
	}
	require.Equal(t, []string{"country", "vat_id", "legal_id"}, of("", standard))
	require.Equal(t, []string{"vat_id", "legal_id"}, of("US", standard))
	require.Equal(t, []string{"legal_id"}, of("US", []billing.TaxCategory{billing.TaxOutside}))
	require.Equal(t, []string{"legal_id"}, of("US", []billing.TaxCategory{billing.TaxOutside}, func(i *document.Issuer) { i.VATID = "v" }))
	registered := func(i *document.Issuer) { i.TaxRegistration = "123/456" }
	require.Equal(t, []string{"legal_id"}, of("US", standard, registered))
	require.Equal(t, []string{"vat_id", "legal_id"}, of("US", []billing.TaxCategory{billing.TaxExport}, registered))
	whole := func(i *document.Issuer) {
		i.Street, i.City, i.VATID, i.ElectronicAddress = "s", "c", "v", "e"
	}
	require.Empty(t, of("IE", standard, whole))
	require.Equal(t, []string{"street", "city", "vat_id", "legal_id", "electronic_address"}, of("IE", standard))
	require.Equal(t, []string{"postcode", "contact_name", "contact_phone", "contact_email", "iban"}, of("DE", standard, whole))
	require.Equal(t, []string{"legal_id"}, of("FR", standard, whole))
	legal := func(id, scheme string) func(*document.Issuer) {
		return func(i *document.Issuer) { i.LegalID, i.LegalIDScheme = id, scheme }
	}
	require.Empty(t, of("FR", standard, whole, legal("552100554", "0002")))
	require.Equal(t, []string{"legal_id"}, of("DK", standard, whole, legal("13585628", "0088")))
	require.Equal(t, []string{"postcode"}, of("IT", standard, whole))
	require.Equal(t, []string{"legal_id", "postcode", "iban"}, of("NL", standard, whole))
	require.Equal(t, []string{"electronic_address", "legal_id", "street", "postcode"}, of("IS", nil, func(i *document.Issuer) { i.VATID = "v" }))
}

func TestCustomerGaps(t *testing.T) {
	t.Parallel()
	of := func(issuer, country string, p document.Party, categories ...billing.TaxCategory) []string {
		i := document.Issuer{}
		i.Country, p.Country = issuer, country
		return columnsOf(document.CustomerGaps(&i, &p, categories))
	}
	address := document.Party{Street: "s", City: "c", ElectronicAddress: "e"}
	require.Equal(t, []string{"country"}, of("US", "", document.Party{}))
	require.Empty(t, of("US", "BR", document.Party{}, billing.TaxStandard))
	require.Equal(t, []string{"street", "city"}, of("IE", "US", document.Party{}))
	require.Equal(t, []string{"street", "city", "electronic_address"}, of("IE", "GB", document.Party{}))
	require.Equal(t, []string{"vat_id"}, of("IE", "DE", address, billing.TaxReverseCharge))
	require.Equal(t, []string{"vat_id"}, of("IE", "DE", document.Party{Street: "s", City: "c", ElectronicAddress: "e", LegalID: "1"}, billing.TaxReverseCharge))
	require.Empty(t, of("US", "BR", document.Party{LegalID: "1"}, billing.TaxReverseCharge))
	require.Equal(t, []string{"postcode"}, of("DE", "DE", address))
	require.Empty(t, of("DE", "FR", address))
	require.Equal(t, []string{"legal_id"}, of("FR", "FR", address))
	require.Equal(t, []string{"postcode"}, of("NL", "NL", address))
	require.Equal(t, []string{"legal_id", "postcode"}, of("IS", "IS", address))
	require.Equal(t, []string{"country"}, columnsOf(document.CustomerGaps(nil, &document.Party{}, nil)))

	require.Contains(t, document.CustomerNotes(&document.Party{Country: "DE"})[0], "Leitweg-ID")
	require.Empty(t, document.CustomerNotes(&document.Party{Country: "DE", BuyerReference: "04011000-1234512345-06"}))
	require.Contains(t, document.CustomerNotes(&document.Party{Country: "IT"})[0], "FatturaPA")
}
