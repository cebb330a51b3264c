package admin

import (
	"net/http"
	"net/url"

	"bareroot/api"
	"bareroot/internal/serve/web"
)

const loginPath = "/login"

// loginCode makes a link that opens the page once.
func (a *Admin) loginCode() (*api.LoginCode, error) {
	code, expires, ok := a.auth.newCode()
	if !ok {
		return nil, problem(http.StatusTooManyRequests, "too many login links are waiting to be used. Try again in ten minutes.")
	}
	u := *a.public
	u.Path = loginPath
	u.RawQuery = url.Values{"code": {code}}.Encode()
	return &api.LoginCode{URL: u.String(), Expires: expires}, nil
}

// registerLogin adds the pages that hand out and take back the cookie.
func (a *Admin) registerLogin(site *web.Site) {
	a.mux.HandleFunc("GET "+loginPath, func(w http.ResponseWriter, r *http.Request) {
		code := r.URL.Query().Get("code")
		if code == "" || !a.auth.useCode(code) {
			a.cfg.Refused()
			a.cfg.Log.Warn("login refused", "remote", r.RemoteAddr, "code", code != "")
			web.Refused(w, http.StatusUnauthorized, "This login link was used already, has expired, or is wrong.")
			return
		}
		a.cfg.Log.Info("browser logged in", "remote", r.RemoteAddr)
		http.SetCookie(w, a.newCookie(r, a.auth.newSession(), int(sessionLife.Seconds())))
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	a.mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, a.newCookie(r, "", -1))
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
}

func (a *Admin) newCookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name:     a.auth.cookie,
		Value:    value,
		Path:     "/",
		MaxAge:   maxAge,
		HttpOnly: true,
		Secure:   r.TLS != nil,
		SameSite: http.SameSiteStrictMode,
	}
}
