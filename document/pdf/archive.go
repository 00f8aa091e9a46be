package pdf

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	_ "embed" // the colour profile
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// The colours of the pages are those of this profile.
//
//go:embed icc/sRGB2014.icc
var sRGB []byte

// about is what an archived document says of itself.
type about struct {
	title, author, language string
	at                      time.Time
}

// trailer is the end of a PDF: how many objects there are, the one with what is said of
// the document, and where the table of objects begins.
var trailer = regexp.MustCompile(`trailer\n<<\n/Size (\d+)\n/Root \d+ 0 R\n/Info (\d+) 0 R\n>>\nstartxref\n(\d+)\n%%EOF\n$`)

var errTrailer = errors.New("the pages do not end as the library for PDF ends them")

// archive makes pages into PDF/A-3b, by an incremental update: what the library cannot
// write comes behind its pages, with a catalog of its own.
func archive(pages []byte, a about, attachments []Attachment) ([]byte, error) {
	const tailSize = 200
	found := trailer.FindSubmatch(pages[max(0, len(pages)-tailSize):])
	if found == nil {
		return nil, errTrailer
	}
	size, err := strconv.Atoi(string(found[1]))
	if err != nil {
		return nil, err
	}
	u := update{file: bytes.NewBuffer(pages), next: size}
	metadata, err := xmp(a, attachments)
	if err != nil {
		return nil, err
	}
	metadataID := u.stream("/Type /Metadata /Subtype /XML", metadata, false)
	profileID := u.stream("/N 3", sRGB, true)
	var associated, names strings.Builder
	attachments = slices.SortedFunc(slices.Values(attachments), func(a, b Attachment) int { return strings.Compare(a.Name, b.Name) })
	for _, file := range attachments {
		data := u.stream(fmt.Sprintf("/Type /EmbeddedFile /Subtype /%s /Params <</ModDate (%s) /Size %d>>",
			escapedName(file.MIME), pdfDate(a.at), len(file.Data)), file.Data, true)
		id := u.object(fmt.Sprintf("<</Type /Filespec /F %[1]s /UF %[1]s /AFRelationship /%[2]s /EF <</F %[3]d 0 R /UF %[3]d 0 R>>>>",
			escapedText(file.Name), escapedName(file.Relationship), data))
		fmt.Fprintf(&associated, "%d 0 R ", id)
		fmt.Fprintf(&names, "%s %d 0 R ", escapedText(file.Name), id)
	}
	catalog := fmt.Sprintf("<</Type /Catalog /Version /1.7 /Pages 1 0 R /Lang (%s) /Metadata %d 0 R "+
		"/ViewerPreferences <</DisplayDocTitle true>> "+
		"/OutputIntents [<</Type /OutputIntent /S /GTS_PDFA1 /OutputConditionIdentifier (sRGB) /Info (sRGB2014) /DestOutputProfile %d 0 R>>]",
		a.language, metadataID, profileID)
	if len(attachments) > 0 {
		catalog += fmt.Sprintf(" /AF [%s] /Names <</EmbeddedFiles <</Names [%s]>>>>", associated.String(), names.String())
	}
	root := u.object(catalog + ">>")
	hash := sha256.Sum256(u.file.Bytes())
	id := strings.ToUpper(hex.EncodeToString(hash[:16]))
	table := u.file.Len()
	fmt.Fprintf(u.file, "xref\n%d %d\n", size, len(u.offsets))
	for _, offset := range u.offsets {
		fmt.Fprintf(u.file, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(u.file, "trailer\n<</Size %d /Root %d 0 R /Info %s 0 R /ID [<%s> <%s>] /Prev %s>>\nstartxref\n%d\n%%%%EOF\n",
		u.next, root, found[2], id, id, found[3], table)
	return u.file.Bytes(), nil
}

// update adds objects to a PDF.
type update struct {
	file    *bytes.Buffer
	next    int // the next object's number
	offsets []int
}

func (u *update) object(text string) (id int) {
	u.offsets = append(u.offsets, u.file.Len())
	id = u.next
	u.next++
	fmt.Fprintf(u.file, "%d 0 obj\n%s\nendobj\n", id, text)
	return id
}

func (u *update) stream(dictionary string, data []byte, compressed bool) (id int) {
	if compressed {
		var zipped bytes.Buffer
		w := zlib.NewWriter(&zipped)
		_, _ = w.Write(data) // to memory
		_ = w.Close()
		data, dictionary = zipped.Bytes(), dictionary+" /Filter /FlateDecode"
	}
	return u.object(fmt.Sprintf("<<%s /Length %d>>\nstream\n%s\nendstream", dictionary, len(data), data))
}

// escapedName writes a name, such as text/xml.
func escapedName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c > ' ' && c < 0x7f && !strings.ContainsRune("()<>[]{}/%#", rune(c)) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "#%02X", c)
		}
	}
	return b.String()
}

// escapedText writes a text in UTF-16, in hexadecimal.
func escapedText(text string) string {
	var b strings.Builder
	b.WriteString("<FEFF")
	for _, unit := range utf16.Encode([]rune(text)) {
		fmt.Fprintf(&b, "%04X", unit)
	}
	return b.String() + ">"
}

func pdfDate(at time.Time) string { return at.Format("D:20060102150405Z") }

// xmp is what is said of the document in XML: as which kind of PDF, and of Factur-X, it
// can be read.
func xmp(a about, attachments []Attachment) ([]byte, error) {
	var b strings.Builder
	text := func(s string) string {
		var escaped strings.Builder
		_ = xml.EscapeText(&escaped, []byte(s)) // to memory
		return escaped.String()
	}
	day := a.at.Format(time.RFC3339)
	b.WriteString("<?xpacket begin=\"\ufeff\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n" +
		`<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"><pdfaid:part>3</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance></rdf:Description>
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">` + text(a.title) + `</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>` + text(a.author) + `</rdf:li></rdf:Seq></dc:creator></rdf:Description>
<rdf:Description rdf:about="" xmlns:pdf="http://ns.adobe.com/pdf/1.3/"><pdf:Producer>flightbill</pdf:Producer></rdf:Description>
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"><xmp:CreateDate>` + day + `</xmp:CreateDate><xmp:ModifyDate>` + day + `</xmp:ModifyDate></rdf:Description>
`)
	for _, file := range attachments {
		if file.Name == EInvoice {
			b.WriteString(facturX)
		}
		if file.Name == "" || strings.Trim(file.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
			return nil, fmt.Errorf("the attachment's name %q is not one of letters, digits, -, _ and . alone", file.Name)
		}
	}
	b.WriteString("</rdf:RDF></x:xmpmeta>\n<?xpacket end=\"r\"?>")
	return []byte(b.String()), nil
}

// facturX names the profile, and describes the schema that this name is of.
const facturX = `<rdf:Description rdf:about="" xmlns:fx="urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"><fx:DocumentType>INVOICE</fx:DocumentType><fx:DocumentFileName>` + EInvoice + `</fx:DocumentFileName><fx:Version>1.0</fx:Version><fx:ConformanceLevel>EN 16931</fx:ConformanceLevel></rdf:Description>
<rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/" xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">
<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
<pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema><pdfaSchema:namespaceURI>urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#</pdfaSchema:namespaceURI><pdfaSchema:prefix>fx</pdfaSchema:prefix>
<pdfaSchema:property><rdf:Seq>
<rdf:li rdf:parseType="Resource"><pdfaProperty:name>DocumentFileName</pdfaProperty:name><pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category><pdfaProperty:description>The name of the embedded XML document</pdfaProperty:description></rdf:li>
<rdf:li rdf:parseType="Resource"><pdfaProperty:name>DocumentType</pdfaProperty:name><pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category><pdfaProperty:description>The type of the hybrid document in capital letters, e.g. INVOICE or ORDER</pdfaProperty:description></rdf:li>
<rdf:li rdf:parseType="Resource"><pdfaProperty:name>Version</pdfaProperty:name><pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category><pdfaProperty:description>The actual version of the standard applying to the embedded XML document</pdfaProperty:description></rdf:li>
<rdf:li rdf:parseType="Resource"><pdfaProperty:name>ConformanceLevel</pdfaProperty:name><pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category><pdfaProperty:description>The conformance level of the embedded XML document</pdfaProperty:description></rdf:li>
</rdf:Seq></pdfaSchema:property></rdf:li></rdf:Bag></pdfaExtension:schemas></rdf:Description>
`
