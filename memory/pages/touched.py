"""Whom and what a deletion touches, in the words of its question."""

from dataclasses import dataclass

from memory.index.removal import Description, People
from memory.pages.words import name_of_user


@dataclass(frozen=True, slots=True)
class Names:
    """People by (name, number of threads), and the number of those that are not named."""

    words: str
    named: list[tuple[str, int]]
    more: int

    @classmethod
    def of(cls, words: str, people: People) -> "Names":
        named = [("no user" if user is None else name_of_user(user), threads) for user, threads in people.named]
        return cls(words, named, people.number - len(named))


@dataclass(frozen=True, slots=True)
class Touched:
    """Titles of the first threads, and all people in them.

    `others` of the threads do not belong to `user`, whose threads were asked for.
    """

    titles: list[str]
    people: list[Names]
    user: str
    others: int

    @classmethod
    def of(cls, found: Description, user: str | None) -> "Touched":
        owners = Names.of("Owner" if found.owners.number == 1 else "Owners", found.owners)
        people = [one for one in (owners, Names.of("Took part", found.guests)) if one.named]
        return cls(found.titles, people, "" if user is None else name_of_user(user), found.others)
