"""How people take, keep and give the floor in Italian; `table.py` says what each set is."""

from local_voice.turn_words.table import TurnWords, phrases

ITALIAN = TurnWords(
    hums=phrases("m, mm, mhm, hm, hmm, ah, oh, eh, aha, ehm, uh, uhm, mah, beh"),
    backchannels=phrases(
        "sì, si, ok, okay, va bene, certo, capisco, ho capito, capito, bene, molto bene, esatto, "
        "esattamente, giusto, vero, perfetto, ottimo, davvero, interessante, d'accordo, già, infatti, "
        "bello, grazie, wow, ah sì, certamente, ecco"
    ),
    answers=phrases(
        "sì, si, no, ok, okay, va bene, certo, certo che sì, certo che no, d'accordo, esatto, giusto, "
        "forse, credo di sì, credo di no, non lo so, non so, non ancora, non ora, per niente, "
        "assolutamente, volentieri, perfetto, mai, niente, nient'altro, mhm, penso di sì, penso di no, "
        "come no, più tardi, magari"
    ),
    courtesy=phrases("per favore, per piacere, grazie, grazie mille, allora"),
    stops=phrases(
        "ferma, fermati, fermo, stop, aspetta, aspetti, aspetta un attimo, un attimo, un momento, "
        "un secondo, zitto, zitta, stai zitto, stai zitta, sta zitto, silenzio, basta, basta così, no no, "
        "lascia stare, lascia perdere, pausa, annulla, alt, smettila, shh"
    ),
    openers=phrases(
        "eh, ehm, beh, allora, e, ma, ok, sì, no, ciao, ehi, ah, oh, senti, dunque, cioè, quindi, bene, "
        "per favore, grazie, va bene"
    ),
    never_last={
        "an article": phrases(
            "il, lo, la, i, gli, le, un, uno, una, del, dello, della, dei, degli, delle, al, allo, alla, "
            "ai, agli, alle, dal, dalla, dai, nel, nella, nei, nelle, sul, sulla, sui"
        ),
        "a possessive": phrases("mio, mia, miei, tuo, tua, tuoi, suo, sua, nostro, nostra"),
        "a conjunction": phrases(
            "e, ed, o, oppure, ma, che, perché, se, anche se, né, quando, mentre, come, però"
        ),
        "a preposition": phrases("di, a, da, in, con, per, tra, fra, su, senza, verso, fino a, durante"),
        "a filler": phrases("eh, ehm, uhm, hm, hmm, mm, cioè, tipo, allora"),
    },
    auxiliaries=phrases(
        "è, sono, era, ho, ha, hanno, c'è, ci sono, voglio, vorrei, posso, può, devo, sto, sta, "
        "mi piacerebbe, si chiama, mi chiamo, ho bisogno"
    ),
    licences=phrases(
        "dove, chi, che, cosa, come, quando, quale, quali, quanto, quanta, quanti, perché, se, dov'è, quello"
    ),
    subordinators=phrases("se, quando, perché, prima di, dopo, mentre, appena, anche se, finché"),
    joiners=phrases("e, ed, o"),
    determiners=phrases("il mio, la mia, un, uno, una, il, lo, la, i, gli, le, due, tre, quattro, cinque"),
    complete=phrases(
        "e tu, o no, lo so, come mai, perché no, e perché, è mio, è mia, è tuo, è tuo o mio, chi è, "
        "che cos'è, ci sono, non posso, non voglio, non ho, eccolo, di più, un po' di più, in più, "
        "per lo più, a più, ma perché, dimmi perché, se voglio, sì lo è"
    ),
    unfinished=phrases(
        "puoi, potresti, può dirmi, mi puoi, mi potresti, dammi, mostrami, per esempio, ad esempio, "
        "voglio dire, e poi, come si dice, vediamo, fammi pensare, fammi vedere"
    ),
    asks_yes_no=phrases(
        "è, sei, sono, hai, ha, vuoi, vuole, puoi, può, posso, devo, ti piace, ti piacerebbe, vorresti, "
        "vorrebbe, c'è, ci sono, preferisci, ti serve, serve, sai, altro, qualcos'altro, pronto, pronta, "
        "va bene, ti va, continuo, desideri, desidera"
    ),
    tags=phrases("no, vero, giusto, va bene, ok, sì, d'accordo, o no, corretto, non è vero"),
    requests=phrases(
        "puoi dirmi, può dirmi, potresti dirmi, potrebbe dirmi, mi dici, mi dica, dimmi, dammi, mi dai, "
        "mi dia, puoi darmi, può darmi, puoi sillabare, può sillabare, potresti sillabare, per favore dimmi"
    ),
    alternatives=phrases("o, oppure"),
    asks_digits=phrases(
        "numero, telefono, codice, cap, data, data di nascita, compleanno, pin, conto, cifre, iban, nato, "
        "nata"
    ),
    asks_spelling=phrases(
        "sillabare, compitare, si scrive, indirizzo, email, e mail, password, via, lettera per lettera, "
        "scrive"
    ),
    asks_list=phrases(
        "ingredienti, articoli, nomi, cose, lista, elenco, di cosa hai bisogno, cosa ti serve, spesa"
    ),
    invented=phrases(
        "grazie, grazie mille, ciao, arrivederci, a presto, alla prossima, e, oh, ah, mm, buonanotte"
    ),
    never_said=phrases(
        "sottotitoli e revisione, sottotitoli creati dalla, sottotitoli a cura di, sottotitoli di, "
        "grazie per aver guardato, grazie per la visione, iscriviti al canale, iscrivetevi al canale, qtss, "
        "al prossimo video"
    ),
    drops_pronouns=True,
)
