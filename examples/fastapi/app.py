"""Orders that belong to users: an ordinary FastAPI app that leaves the door to Portcullis.

The gateway has checked the token, the scope, the limits and the body's size before a request gets
here, and, where something is changed, that the orders are the caller's own or the caller is an admin
(the policy `owner_or_admin`). What is left to the app is what only the app knows: which orders
there are.
"""

import os
from itertools import count
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

app = FastAPI(title="Orders")

# Where the gateway publishes the keys of its identity token (its probes listener).
GATEWAY_KEYS = os.environ.get(
    "GATEWAY_KEYS", "http://127.0.0.1:9902/.well-known/portcullis/jwks.json"
)
GATEWAY_ISSUER = os.environ.get("GATEWAY_ISSUER", "https://api.example.com")
keys = jwt.PyJWKClient(GATEWAY_KEYS)


class NewOrder(BaseModel):
    item: str = Field(min_length=1, max_length=100)
    quantity: int = Field(ge=1, le=100)


class Order(NewOrder):
    id: int
    owner: str


numbers = count(1)
orders: list[Order] = []


def caller(x_auth_subject: Annotated[str, Header()]) -> str:
    """Who calls. The gateway sets this field and removes whatever a client sent under its name."""
    return x_auth_subject


def owner(user_id: str, subject: Annotated[str, Depends(caller)]) -> str:
    """The caller, if the orders asked for are theirs."""
    if user_id != subject:
        raise HTTPException(403, "these orders belong to somebody else")
    return subject


@app.get("/v1/users/{user_id}/orders")
def list_orders(subject: Annotated[str, Depends(owner)]) -> list[Order]:
    return [order for order in orders if order.owner == subject]


@app.post("/v1/users/{user_id}/orders", status_code=201)
def place_order(user_id: str, new: NewOrder) -> Order:
    order = Order(id=next(numbers), owner=user_id, **new.model_dump())
    orders.append(order)
    return order


def find(user_id: str, order_id: int) -> Order:
    """The order, if it is one of that user's: the gateway judged the user in the path, no other."""
    for order in orders:
        if order.id == order_id and order.owner == user_id:
            return order
    raise HTTPException(404, "no such order")


@app.put("/v1/users/{user_id}/orders/{order_id}")
def change_order(order: Annotated[Order, Depends(find)], new: NewOrder) -> Order:
    order.item, order.quantity = new.item, new.quantity
    return order


@app.delete("/v1/users/{user_id}/orders/{order_id}", status_code=204)
def cancel_order(order: Annotated[Order, Depends(find)]) -> None:
    orders.remove(order)


@app.get("/v1/me")
def me(x_portcullis_identity: Annotated[str, Header()]) -> dict[str, str]:
    """For an app that others can reach too: believes the gateway's signature, not the network."""
    try:
        key = keys.get_signing_key_from_jwt(x_portcullis_identity)
        claims = jwt.decode(
            x_portcullis_identity,
            key,
            algorithms=["ES256"],
            audience="orders",
            issuer=GATEWAY_ISSUER,
            options={"require": ["exp", "iat", "sub"]},
        )
    except jwt.PyJWTError as error:
        raise HTTPException(401, "not signed by the gateway") from error
    return {"subject": claims["sub"]}


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}
