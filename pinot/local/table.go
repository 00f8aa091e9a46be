//go:build unix

package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"time"

	"github.com/flightbill/flightbill/internal/javajars"
)

// Format is how rows are written.
type Format string

// The formats that Load reads.
const (
	CSV  Format = "csv"  // with a header
	JSON Format = "json" // one object a row
)

// CreateTable makes an offline table from its schema and its configuration, both JSON as Pinot has them.
func (c *Cluster) CreateTable(ctx context.Context, schema, config []byte) error {
	body, contentType, err := upload("schema", "schema.json", bytes.NewReader(schema))
	if err != nil {
		return err
	}
	if _, err := c.do(ctx, http.MethodPost, c.controllerURL("/schemas"), contentType, body); err != nil {
		return fmt.Errorf("make the schema: %w", err)
	}
	if _, err := c.do(ctx, http.MethodPost, c.controllerURL("/tables"), "application/json", bytes.NewReader(config)); err != nil {
		return fmt.Errorf("make the table: %w", err)
	}
	return nil
}

// Load adds rows to an offline table, as a segment of their own; the same ones twice are there twice. Queries see them
// a little later: see WaitRows.
func (c *Cluster) Load(ctx context.Context, table string, format Format, rows io.Reader) error {
	body, contentType, err := upload("file", "rows."+string(format), rows)
	if err != nil {
		return err
	}
	settings := map[string]string{"inputFormat": string(format)}
	if format == CSV {
		// Else a semicolon makes two values of one.
		settings["recordReader.prop.multiValueDelimiter"] = "\x1f"
	}
	batch, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	query := url.Values{"tableNameWithType": {table + "_OFFLINE"}, "batchConfigMapStr": {string(batch)}}
	if _, err := c.do(ctx, http.MethodPost, c.controllerURL("/ingestFromFile?"+query.Encode()), contentType, body); err != nil {
		return fmt.Errorf("load rows into %s: %w", table, err)
	}
	return nil
}

// WaitRows returns when every broker counts that many rows in a table.
func (c *Cluster) WaitRows(ctx context.Context, table string, rows int) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, b := range c.brokers {
		for {
			found, err := c.count(ctx, b, table)
			if err == nil && found == rows {
				break
			}
			select {
			case <-ctx.Done():
				return errors.Join(fmt.Errorf("%s counts %d rows in %s, not %d: %w", b.name, found, table, rows, context.Cause(ctx)), err)
			case <-tick.C:
			}
		}
	}
	return nil
}

// Holders returns the servers that hold rows of a table.
func (c *Cluster) Holders(ctx context.Context, table string) ([]*Process, error) {
	text, err := c.do(ctx, http.MethodGet, c.controllerURL("/segments/"+table+"_OFFLINE/servers"), "", nil)
	if err != nil {
		return nil, fmt.Errorf("find the servers of %s: %w", table, err)
	}
	var tables []struct {
		Segments map[string][]string `json:"serverToSegmentsMap"`
	}
	if err := json.Unmarshal(text, &tables); err != nil {
		return nil, fmt.Errorf("find the servers of %s: %w", table, err)
	}
	var holders []*Process
	for _, server := range c.servers {
		for _, t := range tables {
			if len(t.Segments[server.instance]) > 0 {
				holders = append(holders, server)
			}
		}
	}
	return holders, nil
}

func (c *Cluster) count(ctx context.Context, broker *Process, table string) (int, error) {
	query, err := json.Marshal(map[string]string{"sql": fmt.Sprintf(`SELECT COUNT(*) FROM "%s"`, table)})
	if err != nil {
		return 0, err
	}
	body, err := c.do(ctx, http.MethodPost, "http://"+broker.address+"/query/sql", "application/json", bytes.NewReader(query))
	if err != nil {
		return 0, err
	}
	var answer struct {
		Exceptions []struct {
			Message string `json:"message"`
		} `json:"exceptions"`
		ResultTable struct {
			Rows [][]int `json:"rows"`
		} `json:"resultTable"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, err
	}
	if len(answer.Exceptions) > 0 {
		return 0, errors.New(answer.Exceptions[0].Message)
	}
	if len(answer.ResultTable.Rows) == 0 {
		return 0, nil
	}
	return answer.ResultTable.Rows[0][0], nil
}

func (c *Cluster) controllerURL(path string) string { return "http://" + c.controller.address + path }

// upload makes a form with one file in it.
func upload(field, name string, content io.Reader) (body io.Reader, contentType string, err error) {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile(field, name)
	if err == nil {
		_, err = io.Copy(part, content)
	}
	return &form, w.FormDataContentType(), errors.Join(err, w.Close())
}

// do sends a request and returns the answer; any status but 200 is an error with its text.
func (c *Cluster) do(ctx context.Context, method, url, contentType string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", resp.Status, javajars.Tail(string(text)))
	}
	return text, nil
}
