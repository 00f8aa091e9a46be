package pdf

import "github.com/flightbill/flightbill/billing"

// words are the texts of a document in one language. VAT comes twice: the second is for
// an issuer who has no VAT id.
type words struct {
	invoice, creditNote                                                         string
	number, issued, due, period, reference, customer, vatID, taxNumber, legalID string
	currency, billTo                                                            string
	description, quantity, unit, rate, amount                                   string
	tax                                                                         [2]string
	subtotal, total, taxOn                                                      string
	correction, late                                                            string
	charge, charges                                                             string // how many: one, several
	flights, day, flight, callsign, registration, route, services, net          string
	page                                                                        string // number, of how many
	takesBackInvoice, takesBackCreditNote, reason                               string // number, day
	pay, payLater, account, paymentReference, nothingToPay, inYourFavour        string
	inTaxCurrency, noRate                                                       string
	contact                                                                     string
	categories                                                                  map[billing.TaxCategory]string
	reasons                                                                     map[string]string // by the code of the list VATEX, without "VATEX-EU-"
	units                                                                       map[string]string // by UN/ECE recommendation 20
	months                                                                      [12]string
	date                                                                        func(w *words, d billing.Date) string // in full
	shortDate                                                                   string                                // for fmt: day, month, year, the month's name
	group, point                                                                string
	percent                                                                     string // for fmt
	signFirst                                                                   bool   // €1,234.56, not 1.234,56 €
}

// languages are those that a document can be written in.
var languages = map[string]*words{"en": &english, "de": &german, "fr": &french, "es": &spanish}

const (
	nbsp       = "\u00a0"
	narrowNbsp = "\u202f"
)

var english = words{
	invoice: "Invoice", creditNote: "Credit note",
	number: "Number", issued: "Date of issue", due: "Due date", period: "Period", reference: "Your reference", customer: "Customer number",
	vatID: "VAT ID", taxNumber: "Tax number", legalID: "Company number", currency: "Currency", billTo: "Bill to",
	description: "Description", quantity: "Quantity", unit: "Unit", rate: "Rate", amount: "Amount",
	tax: [2]string{"VAT", "Tax"}, subtotal: "Net total", total: "Total", taxOn: "on",
	correction: "correction", late: "late", charge: "charge", charges: "charges",
	flights: "Flights", day: "Day", flight: "Flight", callsign: "Callsign", registration: "Registration", route: "From – to", services: "Charges", net: "Net",
	page:             "Page %s of %s",
	takesBackInvoice: "This credit note takes back invoice %s of %s.", takesBackCreditNote: "This invoice takes back credit note %s of %s.", reason: "Reason",
	pay: "Please pay %s by %s.", payLater: "Please pay %s.", account: "Account holder", paymentReference: "Payment reference",
	nothingToPay: "There is nothing to pay.", inYourFavour: "Nothing is due from you: %s is in your favour.",
	inTaxCurrency: "%s in %s, at %s = %s", noRate: "%s in %s: no exchange rate was known on the day of issue.",
	contact: "Questions",
	categories: map[billing.TaxCategory]string{
		billing.TaxZero: "zero-rated", billing.TaxExempt: "exempt", billing.TaxReverseCharge: "reverse charge",
		billing.TaxExport: "export", billing.TaxOutside: "outside the scope of VAT",
	},
	reasons: map[string]string{
		"148": "Exempt: article 148 of Directive 2006/112/EC, services for aircraft used for reward chiefly on international routes",
		"AE":  "Reverse charge: VAT is to be accounted for by the recipient",
		"G":   "Exempt: export outside the European Union", "O": "Not subject to VAT", "IC": "Exempt: intra-Community supply",
	},
	units:  map[string]string{"C62": "each", "TNE": "t", "KMT": "km", "HUR": "h", "MIN": "min", "KGM": "kg"},
	months: [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
	date:   dayMonthYear("%d" + nbsp + "%s" + nbsp + "%d"), shortDate: "%[1]d" + nbsp + "%.3[4]s" + nbsp + "%[3]d",
	group: ",", point: ".", percent: "%s%%", signFirst: true,
}

var german = words{
	// "Gutschrift" is, in the German VAT act, an invoice that the customer writes.
	invoice: "Rechnung", creditNote: "Rechnungskorrektur",
	number: "Nummer", issued: "Datum", due: "Fällig am", period: "Leistungszeitraum", reference: "Ihre Referenz", customer: "Kundennummer",
	vatID: "USt-IdNr.", taxNumber: "Steuernummer", legalID: "Registernummer", currency: "Währung", billTo: "Rechnung an",
	description: "Leistung", quantity: "Menge", unit: "Einheit", rate: "Satz", amount: "Betrag",
	tax: [2]string{"USt.", "Steuer"}, subtotal: "Summe netto", total: "Gesamtbetrag", taxOn: "auf",
	correction: "Korrektur", late: "nachberechnet", charge: "Posten", charges: "Posten",
	flights: "Flüge", day: "Tag", flight: "Flug", callsign: "Rufzeichen", registration: "Kennzeichen", route: "Von – nach", services: "Leistungen", net: "Netto",
	page:             "Seite %s von %s",
	takesBackInvoice: "Diese Rechnungskorrektur hebt die Rechnung %s vom %s auf.", takesBackCreditNote: "Diese Rechnung hebt die Rechnungskorrektur %s vom %s auf.", reason: "Grund",
	pay: "Bitte zahlen Sie %s bis zum %s.", payLater: "Bitte zahlen Sie %s.", account: "Kontoinhaber", paymentReference: "Verwendungszweck",
	nothingToPay: "Es ist nichts zu zahlen.", inYourFavour: "Von Ihnen ist nichts zu zahlen: %s zu Ihren Gunsten.",
	inTaxCurrency: "%s in %s, Kurs %s = %s", noRate: "%s in %s: Am Rechnungstag war kein Kurs bekannt.",
	contact: "Fragen",
	categories: map[billing.TaxCategory]string{
		billing.TaxZero: "Nullsatz", billing.TaxExempt: "steuerfrei", billing.TaxReverseCharge: "Steuerschuldnerschaft des Leistungsempfängers",
		billing.TaxExport: "Ausfuhr", billing.TaxOutside: "nicht steuerbar",
	},
	reasons: map[string]string{
		"148": "Steuerfrei: Artikel 148 der Richtlinie 2006/112/EG, Umsätze für die Luftfahrt (§ 4 Nr. 2, § 8 Abs. 2 UStG)",
		"AE":  "Steuerschuldnerschaft des Leistungsempfängers",
		"G":   "Steuerfrei: Ausfuhr aus der Europäischen Union", "O": "Nicht steuerbar", "IC": "Steuerfrei: innergemeinschaftliche Lieferung",
	},
	units:  map[string]string{"C62": "Stück", "TNE": "t", "KMT": "km", "HUR": "Std.", "MIN": "Min.", "KGM": "kg"},
	months: [12]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"},
	date:   dayMonthYear("%d." + nbsp + "%s" + nbsp + "%d"), shortDate: "%02[1]d.%02[2]d.%[3]d",
	group: ".", point: ",", percent: "%s" + nbsp + "%%",
}

var french = words{
	invoice: "Facture", creditNote: "Avoir",
	number: "Numéro", issued: "Date d’émission", due: "Échéance", period: "Période", reference: "Votre référence", customer: "Numéro client",
	vatID: "N° TVA", taxNumber: "N° fiscal", legalID: "N° d’entreprise", currency: "Devise", billTo: "Facturé à",
	description: "Désignation", quantity: "Quantité", unit: "Unité", rate: "Tarif", amount: "Montant",
	tax: [2]string{"TVA", "Taxe"}, subtotal: "Total HT", total: "Total TTC", taxOn: "sur",
	correction: "rectification", late: "tardif", charge: "redevance", charges: "redevances",
	flights: "Vols", day: "Jour", flight: "Vol", callsign: "Indicatif", registration: "Immat.", route: "De – à", services: "Redevances", net: "HT",
	page:             "Page %s sur %s",
	takesBackInvoice: "Cet avoir annule la facture %s du %s.", takesBackCreditNote: "Cette facture annule l’avoir %s du %s.", reason: "Motif",
	pay: "Merci de régler %s au plus tard le %s.", payLater: "Merci de régler %s.", account: "Titulaire du compte", paymentReference: "Référence de paiement",
	nothingToPay: "Aucun paiement n’est dû.", inYourFavour: "Vous n’avez rien à régler" + nbsp + ": %s en votre faveur.",
	inTaxCurrency: "%s en %s, au cours de %s = %s", noRate: "%s en %s" + nbsp + ": aucun cours n’était connu le jour de l’émission.",
	contact: "Questions",
	categories: map[billing.TaxCategory]string{
		billing.TaxZero: "taux zéro", billing.TaxExempt: "exonéré", billing.TaxReverseCharge: "autoliquidation",
		billing.TaxExport: "exportation", billing.TaxOutside: "hors champ de la TVA",
	},
	reasons: map[string]string{
		"148": "Exonération" + nbsp + ": article 148 de la directive 2006/112/CE, services pour aéronefs des compagnies surtout internationales",
		"AE":  "Autoliquidation",
		"G":   "Exonération" + nbsp + ": exportation hors de l’Union européenne", "O": "Hors champ de la TVA", "IC": "Exonération" + nbsp + ": livraison intracommunautaire",
	},
	units:  map[string]string{"C62": "unité", "TNE": "t", "KMT": "km", "HUR": "h", "MIN": "min", "KGM": "kg"},
	months: [12]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"},
	date:   frenchDate, shortDate: "%02[1]d/%02[2]d/%[3]d",
	group: narrowNbsp, point: ",", percent: "%s" + narrowNbsp + "%%",
}

var spanish = words{
	invoice: "Factura", creditNote: "Factura rectificativa",
	number: "Número", issued: "Fecha de emisión", due: "Vencimiento", period: "Período", reference: "Su referencia", customer: "Número de cliente",
	vatID: "NIF-IVA", taxNumber: "NIF", legalID: "N.º de registro", currency: "Moneda", billTo: "Facturar a",
	description: "Concepto", quantity: "Cantidad", unit: "Unidad", rate: "Tarifa", amount: "Importe",
	tax: [2]string{"IVA", "Impuesto"}, subtotal: "Base imponible", total: "Total", taxOn: "sobre",
	correction: "corrección", late: "atrasado", charge: "cargo", charges: "cargos",
	flights: "Vuelos", day: "Día", flight: "Vuelo", callsign: "Indicativo", registration: "Matrícula", route: "De – a", services: "Cargos", net: "Neto",
	page:             "Página %s de %s",
	takesBackInvoice: "Esta factura rectificativa anula la factura %s del %s.", takesBackCreditNote: "Esta factura anula la factura rectificativa %s del %s.", reason: "Motivo",
	pay: "Rogamos paguen %s a más tardar el %s.", payLater: "Rogamos paguen %s.", account: "Titular de la cuenta", paymentReference: "Referencia de pago",
	nothingToPay: "No hay nada que pagar.", inYourFavour: "No tienen nada que pagar: %s a su favor.",
	inTaxCurrency: "%s en %s, al cambio de %s = %s", noRate: "%s en %s: no se conocía el cambio del día de emisión.",
	contact: "Consultas",
	categories: map[billing.TaxCategory]string{
		billing.TaxZero: "tipo cero", billing.TaxExempt: "exento", billing.TaxReverseCharge: "inversión del sujeto pasivo",
		billing.TaxExport: "exportación", billing.TaxOutside: "no sujeto a IVA",
	},
	reasons: map[string]string{
		"148": "Exento: artículo 148 de la Directiva 2006/112/CE, servicios para aeronaves dedicadas sobre todo al tráfico internacional",
		"AE":  "Inversión del sujeto pasivo",
		"G":   "Exento: exportación fuera de la Unión Europea", "O": "No sujeto a IVA", "IC": "Exento: entrega intracomunitaria",
	},
	units:  map[string]string{"C62": "unidad", "TNE": "t", "KMT": "km", "HUR": "h", "MIN": "min", "KGM": "kg"},
	months: [12]string{"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"},
	date:   dayMonthYear("%d" + nbsp + "de" + nbsp + "%s" + nbsp + "de" + nbsp + "%d"), shortDate: "%02[1]d/%02[2]d/%[3]d",
	group: ".", point: ",", percent: "%s" + nbsp + "%%",
}
