package source_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/internal/functions/source"
)

func function(name, args, body string) string {
	return "-- " + name + " does it.\nCREATE OR REPLACE FUNCTION flightbill." + name + "(" + args + ") RETURNS int\n    LANGUAGE sql\n    RETURN " + body + ";\n"
}

func block(text string) string {
	return "-- +goose StatementBegin\n" + text + "-- +goose StatementEnd\n"
}

func folder(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

// A migration that is made from what changed leaves what the files have, and going
// down leaves what was there before.
func TestMigration(t *testing.T) {
	t.Parallel()
	first := "-- First.\n\n-- +goose Up\nCREATE TABLE flightbill.t ();\n" +
		block(function("same", "", "1")) + block(function("body", "a int", "1")) + block(function("args", "a int", "1")) + block(function("gone", "", "1")) +
		"\n-- +goose Down\nDROP FUNCTION flightbill.same;\n"
	files := map[string]string{
		"same.sql": function("same", "", "1"), "body.sql": function("body", "a int", "2"), "args.sql": function("args", "a bigint", "1"),
		"new.sql": function("new", "", "1"),
	}
	now, err := source.Files(folder(files))
	require.NoError(t, err)
	before, err := source.Migrated(folder(map[string]string{"00001_first.sql": first}))
	require.NoError(t, err)
	changes := source.Changes(now, before)
	var names []string
	for _, c := range changes {
		names = append(names, c.Name())
	}
	require.Equal(t, []string{"args", "body", "gone", "new"}, names)

	second := source.Migration("Second.", changes)
	require.Equal(t, "-- Second.\n\n-- +goose Up\nSET LOCAL search_path = pg_catalog, pg_temp;\n"+
		"\nDROP FUNCTION flightbill.args;\n"+block(function("args", "a bigint", "1"))+
		"\n"+block(function("body", "a int", "2"))+
		"\nDROP FUNCTION flightbill.gone;\n"+
		"\n"+block(function("new", "", "1"))+
		"\n-- +goose Down\nSET LOCAL search_path = pg_catalog, pg_temp;\n"+
		"\nDROP FUNCTION flightbill.new;\n"+
		"\n"+block(function("gone", "", "1"))+
		"\n"+block(function("body", "a int", "1"))+
		"\nDROP FUNCTION flightbill.args;\n"+block(function("args", "a int", "1")), second)

	after, err := source.Migrated(folder(map[string]string{"00001_first.sql": first, "00002_second.sql": second}))
	require.NoError(t, err)
	require.Empty(t, source.Changes(now, after))
}

// Several functions of one name are one text: made together, dropped one by one.
func TestOverloads(t *testing.T) {
	t.Parallel()
	text := function("f", "a int, b date DEFAULT NULL", "1") + function("f", "a int, b text", "2")
	first := "-- +goose Up\n" + block(function("f", "a int", "1")) + "-- +goose Down\nDROP FUNCTION flightbill.f;\n"
	now, err := source.Files(folder(map[string]string{"f.sql": text}))
	require.NoError(t, err)
	before, err := source.Migrated(folder(map[string]string{"00001_first.sql": first}))
	require.NoError(t, err)
	second := source.Migration("Second.", source.Changes(now, before))
	require.Equal(t, "-- Second.\n\n-- +goose Up\nSET LOCAL search_path = pg_catalog, pg_temp;\n"+
		"\nDROP FUNCTION flightbill.f;\n"+block(text)+
		"\n-- +goose Down\nSET LOCAL search_path = pg_catalog, pg_temp;\n"+
		"\nDROP FUNCTION flightbill.f(a int, b date);\nDROP FUNCTION flightbill.f(a int, b text);\n"+block(function("f", "a int", "1")), second)
	after, err := source.Migrated(folder(map[string]string{"00001_first.sql": first, "00002_second.sql": second}))
	require.NoError(t, err)
	require.Empty(t, source.Changes(now, after))
}

func TestAmend(t *testing.T) {
	t.Parallel()
	migration := "-- +goose Up\n" + block(function("a", "", "1")) + block(function("b", "", "1")) + "-- +goose Down\n"
	now, err := source.Files(folder(map[string]string{"a.sql": function("a", "", "2"), "b.sql": function("b", "", "1")}))
	require.NoError(t, err)
	before, err := source.Migrated(folder(map[string]string{"00001.sql": migration}))
	require.NoError(t, err)
	amended := source.Amend(migration, source.Changes(now, before))
	after, err := source.Migrated(folder(map[string]string{"00001.sql": amended}))
	require.NoError(t, err)
	require.Empty(t, source.Changes(now, after))
}

func TestFilesHoldTheFunctionTheyAreNamedAfter(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", function("b", "", "1"), function("a", "", "1") + function("b", "", "1"), "CREATE FUNCTION flightbill.a() RETURNS int LANGUAGE sql RETURN 1;\n"} {
		_, err := source.Files(folder(map[string]string{"a.sql": text}))
		require.ErrorContains(t, err, "a.sql must have CREATE OR REPLACE FUNCTION flightbill.a")
	}
}
