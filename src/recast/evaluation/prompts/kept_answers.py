"""Answers of a language model kept in a folder, so that the same question is asked once."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from recast.errors import WriteError
from recast.evaluation.endpoint import ChatEndpoint
from recast.files import whole_file

Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True)
class KeptAnswers:
    """An endpoint whose answers are files. folder: of them. anew: ask though there is one, and keep the new one.

    An answer is known by the address, the model, the question and the form; one that is damaged, or of another form,
    is asked for again.
    """

    endpoint: ChatEndpoint
    folder: Path
    anew: bool = False

    def __call__(self, question: str, form: type[Form], *, context: object = None) -> Form:
        """As `ChatEndpoint.ask` has it. Raises WriteError where the answer cannot be kept."""
        asked = [self.endpoint.url, self.endpoint.model, question, form.model_json_schema()]
        path = self.folder / f"{hashlib.sha256(json.dumps(asked).encode()).hexdigest()}.json"
        if not self.anew:
            try:
                return form.model_validate_json(path.read_bytes(), context=context)
            except (OSError, ValidationError):
                pass
        answer = self.endpoint.ask(question, form, context=context)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as part:
                part.write_text(answer.model_dump_json(), "utf-8")
        except OSError as error:
            raise WriteError(f"the answer cannot be kept ({error}); name another folder with --cache") from error
        return answer
