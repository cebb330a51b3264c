package netboot

import (
	"encoding/json"
	"fmt"
	"net/url"

	"bareroot/api"
)

// parseQuery is url.ParseQuery that also refuses a parameter given twice.
func parseQuery(raw string) (url.Values, error) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	for k, v := range q {
		if len(v) > 1 {
			return nil, fmt.Errorf("query: %q is given %d times", k, len(v))
		}
	}
	return q, nil
}

func marshalProblem(p *api.Problem) ([]byte, error) { return json.Marshal(p) }
