"""Sessions as Flask-Session and Django write them, one JSON record a line.

    python python.py <port of a Redis>
"""

import json
import sys
from importlib.metadata import version

import django
import redis
from django.conf import settings
from flask import Flask, flash, session
from flask_session import Session

port = int(sys.argv[1])
client = redis.Redis(port=port)
cart = {"items": ["tea", "grün"], "total": 4.5, "note": None}


def show(name, library, cookie, key, value, ttl):
    record = dict(name=name, library=library, cookie=cookie, key=key, value=value.hex(), ttl=ttl)
    print(json.dumps(record, ensure_ascii=False))


def flask(name, **config):
    app = Flask("sample")
    app.config.update(SECRET_KEY="flask-secret", SESSION_TYPE="redis", SESSION_REDIS=client, **config)
    Session(app)

    @app.get("/")
    def write():
        session.update(user_id=42, visits=3, cart=cart)
        flash("hi")
        return ""

    cookie = app.test_client().get("/").headers["set-cookie"].split(";")[0]
    key = "session:" + cookie.split("=", 1)[1].split(".")[0]
    library = f"Flask-Session {version('flask-session')}"
    show(name, library, cookie, key, client.get(key), client.ttl(key))


flask("Flask-Session written now")
flask("Flask-Session JSON, written now", SESSION_SERIALIZATION_FORMAT="json")
flask("Flask-Session written now, signer", SESSION_USE_SIGNER=True)

settings.configure(
    SECRET_KEY="django-secret",
    INSTALLED_APPS=["django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{port}",
        }
    },
)
django.setup()

from django.contrib.sessions.backends import cache as cached, db  # noqa: E402
from django.core.management import call_command  # noqa: E402

call_command("migrate", verbosity=0)
values = {
    "_auth_user_id": "42",
    "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
    "_auth_user_hash": "abc",
    "visits": 3,
    "cart": cart,
}
library = f"Django {django.get_version()}"
for name, more in [("Django written now", {}), ("Django long, written now", {"text": "a" * 5000})]:
    store = db.SessionStore()
    store.update(values | more)
    store.save()
    row = db.SessionStore.get_model_class().objects.get(pk=store.session_key)
    show(name, library, f"sessionid={row.pk}", row.pk, row.session_data.encode(), None)

store = cached.SessionStore()
store.update(values)
store.save()
key = f":1:{store.cache_key}"
cookie = f"sessionid={store.session_key}"
show("Django cache, written now", library, cookie, key, client.get(key), client.ttl(key))
