// render CHART RELEASE NAMESPACE [VALUES...]: renders a chart's templates as Helm does, for tests: the same template
// engine (text/template), the same functions (sprig, and Helm's include, tpl, toYaml, fromYaml, toJson, required,
// fail) and the same objects (.Values, .Release, .Chart, .Capabilities, .Files, .Template). Values files are merged in order over
// the chart's. Prints one YAML document a template, each under `# Source: NAME`, then the notes.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

func main() {
	if len(os.Args) < 4 {
		fail(errors.New("usage: render CHART RELEASE NAMESPACE [VALUES...]"))
	}
	if err := render(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "render:", err)
	os.Exit(1)
}

func render(dir, release, namespace string, files []string) error {
	chart, err := readYaml(filepath.Join(dir, "Chart.yaml"))
	if err != nil {
		return err
	}
	values, err := readYaml(filepath.Join(dir, "values.yaml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		over, err := readYaml(file)
		if err != nil {
			return err
		}
		values = merge(values, over)
	}
	set, names, err := parse(dir, chart["name"].(string))
	if err != nil {
		return err
	}
	for _, name := range names {
		var out bytes.Buffer
		if err := set.ExecuteTemplate(&out, name, objects(chart, values, release, namespace, name)); err != nil {
			return err
		}
		if text := strings.TrimSpace(out.String()); text != "" {
			fmt.Printf("---\n# Source: %s\n%s\n", name, text)
		}
	}
	return nil
}

// objects is what a template sees as its dot.
func objects(chart, values map[string]interface{}, release, namespace, name string) map[string]interface{} {
	title := map[string]interface{}{}
	for key, value := range chart {
		title[strings.ToUpper(key[:1])+key[1:]] = value
	}
	return map[string]interface{}{
		"Values": values,
		"Chart":  title,
		"Release": map[string]interface{}{
			"Name": release, "Namespace": namespace, "Service": "Helm", "Revision": 1,
			"IsInstall": true, "IsUpgrade": false,
		},
		"Capabilities": map[string]interface{}{
			"KubeVersion": map[string]interface{}{"Version": "v1.30.0", "Major": "1", "Minor": "30"},
		},
		"Template": map[string]interface{}{"Name": name, "BasePath": path.Dir(name)},
	}
}

// parse reads all templates into one set and gives the names of those that make documents, in Helm's order: by name,
// the notes last.
func parse(dir, chart string) (*template.Template, []string, error) {
	set := template.New(chart).Option("missingkey=zero")
	set.Funcs(functions(set))
	paths, err := filepath.Glob(filepath.Join(dir, "templates", "*"))
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, file := range paths {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		name := path.Join(chart, "templates", filepath.Base(file))
		if _, err := set.New(name).Parse(string(text)); err != nil {
			return nil, nil, err
		}
		if !strings.HasPrefix(filepath.Base(file), "_") {
			names = append(names, name)
		}
	}
	sort.Slice(names, func(i, j int) bool {
		notes := func(k int) bool { return strings.HasSuffix(names[k], "NOTES.txt") }
		if notes(i) != notes(j) {
			return notes(j)
		}
		return names[i] < names[j]
	})
	return set, names, nil
}

func functions(set *template.Template) template.FuncMap {
	funcs := sprig.TxtFuncMap()
	// Helm takes these two away: a chart must not depend on the environment.
	delete(funcs, "env")
	delete(funcs, "expandenv")
	funcs["include"] = func(name string, data interface{}) (string, error) {
		var out strings.Builder
		err := set.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	funcs["tpl"] = func(text string, data interface{}) (string, error) {
		inner, err := set.Clone()
		if err != nil {
			return "", err
		}
		parsed, err := inner.New("tpl").Parse(text)
		if err != nil {
			return "", err
		}
		var out strings.Builder
		err = parsed.Execute(&out, data)
		return strings.ReplaceAll(out.String(), "<no value>", ""), err
	}
	funcs["toYaml"] = toYaml
	funcs["fromYaml"] = func(text string) (map[string]interface{}, error) {
		out := map[string]interface{}{}
		err := yaml.Unmarshal([]byte(text), &out)
		return out, err
	}
	funcs["toJson"] = func(value interface{}) (string, error) {
		out, err := json.Marshal(value)
		return string(out), err
	}
	funcs["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, errors.New(message)
		}
		return value, nil
	}
	funcs["fail"] = func(message string) (string, error) { return "", errors.New(message) }
	return funcs
}

func toYaml(value interface{}) (string, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

func readYaml(file string) (map[string]interface{}, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	out := map[string]interface{}{}
	if err := yaml.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return out, nil
}

// merge lays over one map on another: maps are merged, all else is replaced, and null takes a key away.
func merge(under, over map[string]interface{}) map[string]interface{} {
	for key, value := range over {
		inner, isMap := value.(map[string]interface{})
		below, wasMap := under[key].(map[string]interface{})
		switch {
		case value == nil:
			delete(under, key)
		case isMap && wasMap:
			under[key] = merge(below, inner)
		default:
			under[key] = value
		}
	}
	return under
}
