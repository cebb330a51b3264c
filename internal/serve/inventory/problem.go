package inventory

import (
	"errors"
	"fmt"
	"net/http"

	"bareroot/api"
	"bareroot/internal/serve/order"
	"bareroot/internal/serve/store"
)

func problem(status int, format string, args ...any) *api.Problem {
	return &api.Problem{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

func bad(format string, args ...any) error { return problem(http.StatusBadRequest, format, args...) }

func conflict(format string, args ...any) error {
	return problem(http.StatusConflict, format, args...)
}

// missing turns a row that is not there into the caller's 404.
func missing(err error, format string, args ...any) error {
	if errors.Is(err, store.ErrNotFound) {
		return problem(http.StatusNotFound, format, args...)
	}
	return err
}

// refused turns a rule's refusal into the caller's 409.
func refused(err error) error {
	if r, ok := errors.AsType[*order.Refusal](err); ok {
		return conflict("%s", r.Why)
	}
	return err
}

func notFound(err error) bool { return errors.Is(err, store.ErrNotFound) }
