"""Models of the Hugging Face hub: downloading weights that are named hf:USER/NAME, and uploading a folder.

`huggingface_hub` keeps downloads in its cache, and finds the user's token by itself. No token is kept or shown here:
error messages pass through `scrubbed`, and errors of libraries, which may quote a token, end here.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..common.errors import DinoError, first_line, printable, shell_command
from ..data.hub import hub_answers
from .tensor_file import WEIGHTS, read_metadata

if TYPE_CHECKING:  # imported where it is used, because most commands don't need it
    from huggingface_hub import ModelInfo

LIBRARY = "dino-diffusion"  # as the hub calls this program
PREFIX = "hf:"
REPOSITORY = re.compile(r"(?!.*(--|\.\.))\w[\w-]{0,95}/\w[\w.-]{0,95}", re.ASCII)
REVISION = re.compile(r"(?!.*(\.\.|//))\w[\w./-]{0,200}", re.ASCII)
TOKEN = re.compile(r"(?:hf|api_org)_\w{6,}|(?<=Bearer )\S+")


# ---- names ----------------------------------------------------------------------------------------------------------


def is_hub_model(name: str) -> bool:
    """Return whether a name means a model of the hub, and not a file."""
    return name.startswith(PREFIX)


def repository_and_revision(name: str) -> tuple[str, str | None]:
    """Return the two parts of a name such as "hf:alice/dinos@v2": "alice/dinos", and "v2" or None.

    Raises:
        DinoError: if it is no such name.
    """
    repository, at, revision = name.removeprefix(PREFIX).partition("@")
    if not REPOSITORY.fullmatch(repository) or (at and not REVISION.fullmatch(revision)):
        raise DinoError(
            f"{printable(scrubbed(name))} is not the name of a model of the hub. Write {PREFIX}USER/NAME, or "
            f"{PREFIX}USER/NAME@REVISION for one of its branches, tags or commits"
        )
    return repository, revision or None


def check_repository(name: str) -> None:
    """Raise an error if a name can't be that of a model of the hub, such as "alice/dinos".

    Raises:
        DinoError: if it can't.
    """
    if not REPOSITORY.fullmatch(name):
        raise DinoError(
            f"{printable(scrubbed(name))} can't be the name of a model of the hub. Write USER/NAME: your name there, "
            "and one for the model, of letters, digits, dots and dashes"
        )


# ---- downloading ----------------------------------------------------------------------------------------------------


def download(name: str) -> Path:
    """Return the weights file of a model of the hub: from the cache if it is current or there is no network.

    Args:
        name: "hf:USER/NAME", or "hf:USER/NAME@REVISION" for a branch, a tag or a commit.

    Raises:
        DinoError: if there is no such model, it may not be read, another program made it, or there is no network and
            it isn't in the cache.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    repository, revision = repository_and_revision(name)
    online = hub_answers()
    with explaining_hub(repository, revision):
        if online and not isinstance(try_to_load_from_cache(repository, WEIGHTS, revision=revision), str):
            _check_is_from_dino(name)  # before gigabytes are downloaded
        path = Path(hf_hub_download(repository, WEIGHTS, revision=revision, local_files_only=not online))
    try:
        read_metadata(path, "weights")
    except DinoError as error:
        raise DinoError(str(error).replace(str(path), f"{WEIGHTS} of {name}")) from error
    return path


def _check_is_from_dino(name: str) -> None:
    """Refuse a model of another program.

    Raises:
        DinoError: if the hub says so, or there is no weights file. The message says what the model is.
    """
    from huggingface_hub import HfApi

    repository, revision = repository_and_revision(name)
    info = HfApi().model_info(repository, revision=revision)
    has_weights = WEIGHTS in {file.rfilename for file in info.siblings or ()}
    if has_weights and info.library_name in (None, LIBRARY):
        return
    raise DinoError(f"{name} is not a model of dino: {_what_it_is(info)}. Name a model that dino push uploaded")


def _what_it_is(info: "ModelInfo") -> str:
    """Return what the hub knows of a model, as the end of a sentence."""
    if info.library_name in (None, LIBRARY):
        found = ", ".join(sorted(file.rfilename for file in info.siblings or ())) or "no files"
        return f"it has no {WEIGHTS}, only {printable(found, 80)}"
    task = f" for {info.pipeline_tag}" if info.pipeline_tag else ""
    return printable(f"it was made with {info.library_name}{task}")


# ---- uploading ------------------------------------------------------------------------------------------------------


class Destination(NamedTuple):
    """A place on the hub, new or not."""

    repository: str  # USER/NAME
    user: str  # who uploads
    is_private: bool
    files: frozenset[str] | None  # what is there now, or None if the place is new

    @property
    def address(self) -> str:
        """The page on the hub."""
        from huggingface_hub import constants

        return f"{constants.ENDPOINT}/{self.repository}"


def find_destination(repository: str, *, private: bool) -> Destination:
    """Find out who may upload, and what is at a place on the hub. Nothing is changed.

    Args:
        repository: USER/NAME.
        private: whether nobody else may see it.

    Raises:
        DinoError: if there is no network, no token, or one that the hub doesn't know; or if `private` is wanted and
            the place is public already.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    if not hub_answers():
        raise DinoError(f"without a network, nothing can be uploaded to {repository}. Connect, and try again")
    with explaining_hub(repository):
        user = HfApi().whoami()["name"]
        try:
            info = HfApi().model_info(repository)
        except RepositoryNotFoundError:
            return Destination(repository, user, private, None)
    if private and not info.private:
        raise DinoError(
            f"{repository} exists and is public. Choose another name, or make it private in its settings on the hub",
            settings={"private": False},
        )
    return Destination(repository, user, bool(info.private), frozenset(file.rfilename for file in info.siblings or ()))


def upload(folder: Path, destination: Destination) -> None:
    """Upload the files of a folder as one commit. The place on the hub is made if it is new.

    Raises:
        DinoError: if the token may not write there, or the hub can't be reached.
    """
    from huggingface_hub import HfApi

    repository = destination.repository
    with explaining_hub(repository, user=destination.user):
        if destination.files is None:
            HfApi().create_repo(repository, private=destination.is_private, exist_ok=True)
        HfApi().upload_folder(repo_id=repository, folder_path=folder, commit_message="Upload a model with dino push")


# ---- errors ---------------------------------------------------------------------------------------------------------


def scrubbed(text: str) -> str:
    """Return text in which everything that looks like a token, or is the user's own, is replaced by [token]."""
    from huggingface_hub import get_token

    text = TOKEN.sub("[token]", text)
    try:
        token = get_token()
    except Exception:  # the ways to get one are many, and so are their errors
        token = None
    return text.replace(token, "[token]") if token else text


@contextmanager
def explaining_hub(repository: str, revision: str | None = None, *, user: str | None = None) -> Iterator[None]:
    """Report any error of `huggingface_hub` in one line. It raises many kinds, most of them with long messages.

    Args:
        repository: USER/NAME.
        revision: the branch, tag or commit that is wanted.
        user: who uploads; None for a download.

    Raises:
        DinoError: in place of the error, which isn't shown even in a traceback, because its text may hold a token.
    """
    try:
        yield
    except DinoError:
        raise
    except Exception as error:
        raise DinoError(_in_words(error, repository, revision, user)) from None


def _in_words(error: Exception, repository: str, revision: str | None, user: str | None) -> str:
    from huggingface_hub import errors

    log_in = shell_command("hf", "auth", "login")
    status = getattr(getattr(error, "response", None), "status_code", None)
    says = printable(scrubbed(first_line(error)))
    known = [
        (
            isinstance(error, errors.LocalTokenNotFoundError),
            f"there is no token for the hub here. Make one of the kind Write in your settings, then run: {log_in}",
        ),
        (
            isinstance(error, errors.OfflineModeIsEnabled | errors.LocalEntryNotFoundError),
            f"{PREFIX}{repository} isn't in the cache, and can't be downloaded without a network. Connect first",
        ),
        (
            isinstance(error, errors.GatedRepoError),
            f"the owner of {repository} decides who may have it. Ask on its page on the hub, then run: {log_in}",
        ),
        (
            isinstance(error, errors.RevisionNotFoundError),
            f"{repository} has no branch, tag or commit {revision}. Its page on the hub lists them",
        ),
        (
            isinstance(error, errors.RepositoryNotFoundError) and user is None,
            f"there is no model {repository} on the hub, or it is private. If it is yours, run: {log_in}",
        ),
        (
            status == 401,
            "the hub doesn't know this token: it is wrong, or no longer valid. If it isn't the one in HF_TOKEN, run: "
            f"{log_in}",
        ),
        (
            status in (403, 404) and user is not None,
            f"the token of {user} can't write to {repository}. Is {repository.partition('/')[0]} you, or an "
            f"organization of yours, and the token of the kind Write? The hub says: {says}",
        ),
    ]
    unknown = f"the hub could not {'upload to' if user else 'find or send'} {repository}: {says}"
    return next((message for applies, message in known if applies), unknown)
